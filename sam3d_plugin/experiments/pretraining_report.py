"""The sections of a page that shows what a pre-training did."""
import argparse
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from scipy.spatial import cKDTree

from ..datasets import RGBDFrameDataset
from ..engine.checkpoint import find_newest_checkpoint
from ..engine.export import read_encoder
from ..evaluation.token_features import (FrozenEncoder, build_frozen,
                                         read_tokens)
from ..ops.projection import back_project, transform
from ..ops.registration import color_pixels_of_depth
from ..ops.scene_origin import find_origin
from ..store.files import check_not_input
from ..store.manifest import MANIFEST, Store
from ..store.posed_images import PosedImages, RGBDFrame
from ..store.region_maps import RegionMaps
from ..visualization import pretraining_sections as sections
from ..visualization.report_page import write_report
from ..visualization.scan_page import evenly
from .finetuned_rooms import room_section, shipped_section
from .report_inputs import read_curves, read_json, stop
from .token_purity import neighbor_groups, read_objects, token_purity

ROOT = Path(__file__).resolve().parents[2]
# Metres that lie between points of different regions when the nearest
# point of a pixel is looked for, and how near it must be.
_REGION_GAP, _REACH = 100.0, 0.5
# Frames that purity is measured on.
_MEASURED = 16


def view_tokens(encoder: FrozenEncoder, xyz: np.ndarray,
                region_ids: np.ndarray) -> sections.FrameTokens:
    """What an encoder makes of the points of a frame.

    Args:
        encoder (FrozenEncoder): The encoder.
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


def view_frame(frame: RGBDFrame,
               ids: np.ndarray,
               num_points: int,
               models: Dict[str, FrozenEncoder],
               objects: Optional[np.ndarray] = None) -> sections.FrameView:
    """A frame as image, as points, and as tokens of every model.

    Args:
        frame (RGBDFrame): The frame.
        ids (np.ndarray): (H, W) region of every color pixel, 0 = none.
        num_points (int): Points that the models see.
        models (Dict[str, FrozenEncoder]): By name.
        objects (Optional[np.ndarray]): (H', W') true object of every pixel of
            depth, where it is known.

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
    colors = np.tile(sections.NOTHING, (frame.depth.size, 1))
    colors[seen] = frame.color.reshape(-1, 3)[place]
    groups = np.zeros(frame.depth.size, np.int64)
    groups[seen] = neighbor_groups(xyz, len(np.unique(regions)))
    center = points.mean(axis=0)
    toward = frame.pose[:3, 3] - center
    return sections.FrameView(
        name=f'{frame.scan}, frame {frame.name}',
        color=frame.color,
        region_ids=ids,
        depth_color=colors.reshape(*frame.depth.shape, 3),
        neighbor_groups=groups.reshape(frame.depth.shape),
        objects=objects,
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


def frame_names(args: argparse.Namespace) -> List[Tuple[str, str]]:
    """Scan and name of every frame that may be shown."""
    dataset = RGBDFrameDataset(args.data, args.infos,
                               [dict(type='LoadRGBDPoints')])
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    return [(info['scan'], info['frame']) for info in infos]


def read_frames(args: argparse.Namespace, names: Sequence[Tuple[str, str]],
                models: Dict[str, FrozenEncoder]) -> List[sections.FrameView]:
    """Some frames of the data set with what the models make of them."""
    images = PosedImages(Path(args.data, 'posed_images'))
    maps = RegionMaps(Path(args.data, 'region_maps'))
    views = []
    for scan, name in evenly(names, args.frames):
        frame = images.read(scan, name)
        if not (frame.depth > 0).any():
            print(f'{images.label(scan, name)} has no depth: not shown')
            continue
        views.append(
            view_frame(frame, maps.read(scan, name), args.points, models,
                       read_objects(Path(args.data), scan, name)))
    if not views:
        stop(f'no frame to show of {args.data}: try more --frames')
    return views


def read_data_facts(data: str, geometry: Optional[str]) -> Dict[str, str]:
    """What the data set consists of.

    Args:
        data (str): Prepared data set, whose manifests are read.
        geometry (Optional[str]): File of
            ``tools/experiments/feature_geometry.py``.

    Returns:
        Dict[str, str]: Facts by name.
    """
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
    # An unfinished run may be at work on them.
    if Path(features.path(MANIFEST)).is_file():
        channels = {
            item.fields['channels']
            for record in features.manifest().values()
            for item in record.completed.values()
        }
        facts['feature of a region'] = (
            f'{" or ".join(map(str, channels))} numbers, from the encoder '
            f'{features.header()["settings"].get("encoder")}')
    if geometry:
        share = read_json(geometry)['region_features']['mlp']
        facts['of their variance'] = (
            f'{share:.0%} is explained by shape, height and size of a region; '
            'the network, which sees no color, hardly learns the rest')
    return facts


def build_sections(args: argparse.Namespace) -> List[sections.Section]:
    """Everything that the command line gives material for."""
    found, features = _data_sections(args) if args.data else ([], [])
    if args.probes:
        probes = {n: read_json(path) for n, path in args.probes.items()}
        found.append(sections.probe_section(probes))
    found += features
    found += _fine_tuned_sections(args)
    if args.runs:
        curves = {n: read_curves(path) for n, path in args.runs.items()}
        found.append(sections.curves_section(curves))
    if args.steps:
        found.append(sections.cost_section(read_json(args.steps)))
    return found


def _fine_tuned_sections(args: argparse.Namespace) -> List[sections.Section]:
    """What detectors and the segmentor predict."""
    found: List[Optional[sections.Section]] = []
    for source in args.detector:
        if Path(source).is_file():
            found.append(shipped_section(source, args.data, args.rooms))
        else:
            found.append(room_section('detector', source, args.rooms))
    found += [
        room_section('segmentor', source, args.rooms)
        for source in args.segmentor
    ]
    return [section for section in found if section is not None]


def _data_sections(
    args: argparse.Namespace
) -> Tuple[List[sections.Section], List[sections.Section]]:
    """Images with their tokens, and what the models make of these."""
    names = frame_names(args)
    sources = args.models or _newest_models(args.runs)
    models = {n: load_encoder(source) for n, source in sources.items()}
    frames = read_frames(args, names, models)
    purity = token_purity(Path(args.data), evenly(names, _MEASURED))
    shown = [
        sections.regions_section(frames,
                                 read_data_facts(args.data, args.geometry),
                                 purity)
    ]
    if not models:
        return shown, []
    return [*shown, sections.tokens_section(frames)
            ], [sections.features_section(frames)]


def load_encoder(source: str) -> FrozenEncoder:
    """A frozen encoder with its tokenizer, on the CPU."""
    state, meta = read_encoder(source)
    return build_frozen(meta, state)


def _newest_models(runs: Dict[str, str]) -> Dict[str, str]:
    newest = {name: find_newest_checkpoint(d) for name, d in runs.items()}
    return {name: path for name, path in newest.items() if path}


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    check_not_input(args.out, [
        *args.models.values(), *args.probes.values(), *args.detector,
        *filter(None, (args.geometry, args.steps))
    ])
    MMLogger.get_instance('report').setLevel('WARNING')
    init_default_scope('mmdet3d')
    found = build_sections(args)
    if not found:
        stop('there is nothing to show: give --data, --runs, '
             '--probes, --detector, --segmentor or --steps')
    steps = read_json(args.steps) if args.steps else {}
    size = write_report(args.out, args.title, found,
                        steps.get('unfinished', ''))
    print(f'{args.out}: {size / 1e6:.1f} MB, open it in a browser')
