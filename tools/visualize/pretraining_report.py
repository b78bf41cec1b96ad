"""Write one offline page that shows what a pre-training did.

    python tools/visualize/pretraining_report.py --out report.html \\
        --data data/NAME --runs "stage 1=work_dirs/a" "stage 2=work_dirs/b"

Regions on images, tokens on points, loss curves, principal components of the
token features of each model, and, where given, probe results, what a
fine-tuned detector and segmentor predict, and what every step cost. --models
names the encoders (checkpoints, files of export_backbone.py, or a config for
an encoder that has learnt nothing); without it, the newest checkpoint of every
run is taken. What is not given is left out of the page.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from scipy.spatial import cKDTree

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.datasets import RGBDFrameDataset
from sam3d_plugin.engine.checkpoint import find_newest_checkpoint
from sam3d_plugin.engine.export import read_encoder
from sam3d_plugin.evaluation.token_features import build_frozen, read_tokens
from sam3d_plugin.models.backbones import TokenEncoder
from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.ops.registration import color_pixels_of_depth
from sam3d_plugin.ops.scene_origin import find_origin
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages, RGBDFrame
from sam3d_plugin.store.region_maps import RegionMaps
from sam3d_plugin.visualization import pretraining_sections as sections
from sam3d_plugin.visualization.report_page import write_report
from sam3d_plugin.visualization.scan_page import evenly

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.visualize import finetuned_rooms
from tools.visualize.report_inputs import read_curves, read_json, stop

# Metres that lie between points of different regions when the nearest
# point of a pixel is looked for, and how near it must be.
_REGION_GAP, _REACH = 100.0, 0.5


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--out', required=True, help='HTML file to write')
    parser.add_argument(
        '--title', default='What the pre-training did', help='of the page')
    parser.add_argument('--data', metavar='DIR', help='prepared data set')
    for name, what in (('runs', 'work directories, for the loss curves'),
                       ('models', 'encoders, for pictures of their features'),
                       ('probes',
                        'files of tools/experiments/linear_probe.py')):
        parser.add_argument(
            f'--{name}', nargs='+', default=[], metavar='NAME=PATH', help=what)
    for name in ('detector', 'segmentor'):
        parser.add_argument(
            f'--{name}',
            metavar='DIR',
            help='work directory of one that was fine-tuned; '
            f'{finetuned_rooms.SCORES} in it is what tools/test.py --json '
            'measured')
    parser.add_argument(
        '--rooms',
        type=int,
        default=2,
        help='rooms of each to show (default: %(default)s)')
    parser.add_argument(
        '--steps',
        metavar='FILE',
        help='what tools/quickstart.py wrote of its steps')
    parser.add_argument(
        '--infos',
        default='scannet_infos_val.pkl',
        help='whose frames are shown (default: %(default)s; '
        "'' is all scans)")
    parser.add_argument(
        '--frames',
        type=int,
        default=3,
        help='frames to show, evenly spaced (default: %(default)s)')
    parser.add_argument(
        '--points',
        type=int,
        default=4096,
        help='points of a frame that the models see (default: %(default)s)')
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from, not only its sentence')
    args = parser.parse_args(argv)
    for name in ('runs', 'models', 'probes'):
        for pair in getattr(args, name):
            if not all(pair.partition('=')[::2]):
                parser.error(f'--{name}: {pair} is not NAME=PATH')
        setattr(args, name,
                dict(pair.split('=', 1) for pair in getattr(args, name)))
    return args


def view_tokens(encoder: TokenEncoder, xyz: np.ndarray,
                region_ids: np.ndarray) -> sections.FrameTokens:
    """What an encoder makes of the points of a frame.

    Args:
        encoder (TokenEncoder): The encoder.
        xyz (np.ndarray): (N, 3) meters, centered as in training.
        region_ids (np.ndarray): (N,) 0 = in no region.

    Returns:
        sections.FrameTokens: The tokens, without padding.
    """
    columns = np.column_stack([xyz, region_ids]).astype(np.float32)
    points = torch.from_numpy(columns)[None]
    with torch.no_grad():
        tokens, features = encoder.encode(points)
    read = read_tokens(points[..., :3], tokens, features,
                       torch.zeros(points.shape[:2], dtype=torch.int64))
    return sections.FrameTokens(read.own[0].numpy(), read.features.numpy())


def view_frame(frame: RGBDFrame, ids: np.ndarray, num_points: int,
               models: Dict[str, TokenEncoder]) -> sections.FrameView:
    """A frame as image, as points, and as tokens of every model.

    Args:
        frame (RGBDFrame): The frame.
        ids (np.ndarray): (H, W) region of every color pixel, 0 = none.
        num_points (int): Points that the models see.
        models (Dict[str, TokenEncoder]): By name.

    Returns:
        sections.FrameView: What the sections show.
    """
    cameras = frame.cameras
    height, width = frame.color.shape[:2]
    place = color_pixels_of_depth(frame.depth, cameras.depth_intrinsics,
                                  cameras.depth_to_color,
                                  cameras.color_intrinsics,
                                  (height, width)).reshape(-1)
    seen = np.flatnonzero(place >= 0)
    place = place[seen]
    xyz = transform(
        back_project(frame.depth, cameras.depth_intrinsics, seen), frame.pose)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(seen), num_points, replace=len(seen) < num_points)
    points = xyz[chosen]
    regions = ids.reshape(-1)[place].astype(np.int64)
    origin = find_origin(points, 'floor')
    # A pixel without depth shows no point.
    nearest = np.full(frame.depth.size, -1)
    nearest[seen] = _nearest(points, regions[chosen], xyz, regions)
    center = points.mean(axis=0)
    toward = frame.pose[:3, 3] - center
    return sections.FrameView(
        name=f'{frame.scan}, frame {frame.name}',
        color=frame.color,
        depth=frame.depth,
        region_ids=ids,
        xyz=points - center,
        photo=frame.color.reshape(-1, 3)[place[chosen]],
        pixel_points=nearest.reshape(frame.depth.shape),
        azimuth=float(np.degrees(np.arctan2(toward[1], toward[0]))),
        tokens={
            name: view_tokens(model, points - origin, regions[chosen])
            for name, model in models.items()
        })


def _nearest(points: np.ndarray, regions: np.ndarray, xyz: np.ndarray,
             xyz_regions: np.ndarray) -> np.ndarray:
    """The nearest point of the same region; -1 where there is none."""
    tree = cKDTree(np.column_stack([points, _REGION_GAP * regions]))
    found = tree.query(
        np.column_stack([xyz, _REGION_GAP * xyz_regions]),
        distance_upper_bound=_REACH)[1]
    return np.where(found < len(points), found, -1)


def read_frames(args: argparse.Namespace,
                models: Dict[str, TokenEncoder]) -> List[sections.FrameView]:
    """Some frames of the data set with what the models make of them."""
    dataset = RGBDFrameDataset(args.data, args.infos,
                               [dict(type='LoadRGBDPoints')])
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    images = PosedImages(Path(args.data, 'posed_images'))
    maps = RegionMaps(Path(args.data, 'region_maps'))
    views = []
    for info in evenly(infos, args.frames):
        scan, name = info['scan'], info['frame']
        frame = images.read(scan, name)
        if not (frame.depth > 0).any():
            print(f'{images.label(scan, name)} has no depth: not shown')
            continue
        views.append(
            view_frame(frame, maps.read(scan, name), args.points, models))
    if not views:
        stop(f'no frame to show of {args.data}: try more --frames')
    return views


def read_data_facts(data: str) -> Dict[str, str]:
    """What the data set consists of, from its manifests."""
    facts = {}
    maps = Store(Path(data, 'region_maps'))
    counts = [
        item.fields.get('regions', 0) for record in maps.manifest().values()
        for item in record.completed.values()
    ]
    facts['rooms or scans'] = f'{len(maps.manifest()):,}'
    facts['frames'] = f'{len(counts):,}'
    facts['regions'] = (f'{sum(counts):,}, from the generator '
                        f'{maps.header()["settings"].get("generator")}')
    features = Store(Path(data, 'region_features'))
    if features.exists():
        channels = {
            item.fields['channels']
            for record in features.manifest().values()
            for item in record.completed.values()
        }
        facts['feature of a region'] = (
            f'{" or ".join(map(str, channels))} numbers, from the encoder '
            f'{features.header()["settings"].get("encoder")}')
    return facts


def build_sections(args: argparse.Namespace) -> List[sections.Section]:
    """Everything that the command line gives material for."""
    found: List[sections.Section] = []
    if args.data:
        sources = args.models or _newest_models(args.runs)
        models = {n: load_encoder(source) for n, source in sources.items()}
        frames = read_frames(args, models)
        found.append(
            sections.regions_section(frames, read_data_facts(args.data)))
        found += [sections.tokens_section(frames)] if models else []
    if args.runs:
        curves = {n: read_curves(path) for n, path in args.runs.items()}
        found.append(sections.curves_section(curves))
    if args.data and models:
        found.append(sections.features_section(frames))
    if args.probes:
        probes = {n: read_json(path) for n, path in args.probes.items()}
        found.append(sections.probe_section(probes))
    found += finetuning_sections(args)
    if args.steps:
        found.append(sections.cost_section(read_json(args.steps)))
    return found


def finetuning_sections(args: argparse.Namespace) -> List[sections.Section]:
    """What was fine-tuned.

    Returns at most a detector and a segmentor.
    """
    found = []
    if args.detector:
        found.append(
            finetuned_rooms.detector_section(args.detector, args.rooms))
    if args.segmentor:
        found.append(
            finetuned_rooms.segmentor_section(args.segmentor, args.rooms))
    return [section for section in found if section is not None]


def load_encoder(source: str) -> TokenEncoder:
    """A frozen encoder with its tokenizer, on the CPU."""
    state, meta = read_encoder(source)
    return build_frozen(meta, state)


def _newest_models(runs: Dict[str, str]) -> Dict[str, str]:
    newest = {name: find_newest_checkpoint(d) for name, d in runs.items()}
    return {name: path for name, path in newest.items() if path}


def main(args: argparse.Namespace) -> None:
    """Write the page."""
    MMLogger.get_instance('report').setLevel('WARNING')
    init_default_scope('mmdet3d')
    found = build_sections(args)
    if not found:
        stop('there is nothing to show: give --data, --runs, '
             '--probes, --detector, --segmentor or --steps')
    size = write_report(args.out, args.title, found)
    print(f'{args.out}: {size / 1e6:.1f} MB, open it in a browser')


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
