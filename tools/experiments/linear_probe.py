"""Probe a frozen encoder: one linear layer from token features to classes.

Frames of the train scans train the layer, frames of the val scans test it.
Every point has the true class of its pixel (SynthRooms has them): 18 detection
classes, wall and floor. It reads the feature of its own token (``own``), or
interpolates those of the three nearest token centers (``three_nn``), each with
a layer of its own. Regions are those of region_maps. With ``--knn`` the most
similar labeled tokens of the train frames vote as well, without any training.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import torch
from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table

from sam3d_plugin.cli.arguments import SettingAction, ToolParser
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.cli.value_types import device_name, output_file
from sam3d_plugin.datasets.frame_index import read_scan_names
from sam3d_plugin.datasets.transforms.load_frame_labels import CLASSES
from sam3d_plugin.engine.export import fresh_encoder, read_encoder
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.evaluation import knn_probe, token_features
from sam3d_plugin.evaluation.knn_probe import NeighborSettings
from sam3d_plugin.evaluation.linear_probe import (READ_OUTS, ProbeSettings,
                                                  probe)
from sam3d_plugin.store import atomic_write


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'source',
        help='checkpoint of tools/train.py, file of tools/export_backbone.py,'
        ' or a config (.py) for an encoder that has learnt nothing')
    parser.add_argument('--data-root', required=True)
    parser.add_argument(
        '--train-scans',
        help='list of scans '
        '(default: splits/train.txt of the data root)')
    parser.add_argument(
        '--val-scans',
        help='list of scans '
        '(default: splits/val.txt of the data root)')
    parser.add_argument('--num-points', type=int, default=4096)
    parser.add_argument(
        '--seed', type=int, default=0, help='of points and fresh encoders')
    parser.add_argument(
        '--knn',
        nargs='?',
        type=int,
        const=NeighborSettings.neighbors,
        metavar='K',
        help='probe by the K nearest labeled tokens too (K without a number: '
        '%(const)s)')
    parser.add_argument(
        '--temperature',
        type=temperature,
        default=NeighborSettings.temperature,
        help="of their votes' weights, exp(cosine similarity / temperature); "
        'none: a vote is a vote (default: %(default)s)')
    parser.add_argument(
        '--region-features',
        action='store_true',
        help="probe the 2D features that stage 1 distils, at the source's "
        'tokens, instead of its encoder')
    parser.add_argument(
        '--device',
        type=device_name,
        help='default: cuda if there is one, else cpu')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='settings over those of a config')
    parser.add_argument(
        '--json', type=output_file, metavar='FILE', help='write the scores')
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from')
    return parser.parse_args(argv)


def temperature(text: str) -> Optional[float]:
    """A number, or None for ``none``."""
    return None if text == 'none' else float(text)


def scan_list(args: argparse.Namespace, split: str) -> str:
    """Path of the list of a split's scans."""
    given = getattr(args, f'{split}_scans')
    return str(
        Path(given
             or Path(args.data_root, 'splits', f'{split}.txt')).resolve())


def load_encoder(
        args: argparse.Namespace
) -> Tuple[token_features.Encoder, Dict[str, Any]]:
    """What gives the tokens' features, and what it was made of."""
    if args.source.endswith('.py'):
        settings = read_config(args.source, args.cfg_options).to_dict()
        state, meta = fresh_encoder(settings, args.source, args.seed)
    elif args.cfg_options:
        raise SystemExit(f'error: {args.source} has its settings in it: '
                         '--cfg-options are for configs')
    else:
        state, meta = read_encoder(args.source)
    if args.region_features:
        return token_features.RegionFeatureReader(meta), meta
    return token_features.build_frozen(meta, state), meta


def run(args: argparse.Namespace) -> Dict[str, Any]:
    """Encode both splits, train and test the layers."""
    neighbors = None
    if args.knn is not None:
        neighbors = NeighborSettings(args.knn, args.temperature)
    lists = {split: scan_list(args, split) for split in ('train', 'val')}
    both = set(read_scan_names(lists['train'])) & set(
        read_scan_names(lists['val']))
    if both:
        raise SystemExit(f'error: {sorted(both)[0]} is in the train and in '
                         'the val list: the probe is tested on other scans')
    # Every weight's initialization would be listed.
    MMLogger.get_instance('probe', log_level='WARNING')
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    encoder, meta = load_encoder(args)
    encoder = encoder.to(device)
    begin = time.perf_counter()
    encoded = {}
    for split, path in lists.items():
        frames = token_features.labelled_frames(args.data_root, path,
                                                args.num_points,
                                                args.region_features)
        encoded[split] = token_features.encode_frames(
            encoder, frames, args.seed, device=device)
    seconds = dict(encode=round(time.perf_counter() - begin, 2))
    settings = ProbeSettings(seed=args.seed)
    results: Dict[str, Any] = dict(
        probe(encoded['train'], encoded['val'], CLASSES, settings))
    seconds['probe'] = round(time.perf_counter() - begin - seconds['encode'],
                             2)
    if neighbors is not None:
        results['knn'] = dict(
            knn_probe.probe(encoded['train'], encoded['val'], CLASSES,
                            neighbors),
            settings=vars(neighbors))
    results['frames'] = {s: len(e.labels) for s, e in encoded.items()}
    results['tokens_per_frame'] = {
        s: round(len(e.features) / len(e.labels), 1)
        for s, e in encoded.items()
    }
    results.update(
        seconds=seconds,
        settings=dict(
            vars(settings),
            num_points=args.num_points,
            region_features=args.region_features),
        encoder=meta)
    return results


def show(results: Dict[str, Any]) -> None:
    """Print the read-outs side by side."""
    found = {name: results[name] for name in READ_OUTS}
    for name in READ_OUTS if 'knn' in results else ():
        found[f'{name}, k-NN'] = results['knn'][name]
    first = found[READ_OUTS[0]]['classes']
    table = Table('class', *(f'IoU {name}' for name in found), 'points')
    for name, entry in first.items():
        table.add_row(
            name,
            *(f'{scores["classes"][name]["iou"]:.3f}'
              for scores in found.values()), f'{entry["points"]:,}')
    for key in ('miou', 'macc'):
        table.add_row(f'[b]{key}',
                      *(f'{scores[key]:.4f}' for scores in found.values()), '')
    Console().print(table)


def main(args: argparse.Namespace) -> None:
    """Probe, show and write."""
    results = run(args)
    show(results)
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(args.json, 'w') as file:
            json.dump(results, file, indent=1)


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(run_tool(main, arguments))
