"""Probes a frozen encoder on two splits, and shows the scores."""
import argparse
import time
from pathlib import Path
from typing import Any, Dict, Tuple

import torch
from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table

from ..datasets.frame_index import read_scan_names
from ..datasets.transforms.load_frame_labels import CLASSES
from ..engine.export import fresh_encoder, read_encoder
from ..engine.options import read_config
from ..evaluation import knn_probe, token_features
from ..evaluation.knn_probe import NeighborSettings
from ..evaluation.linear_probe import READ_OUTS, ProbeSettings, probe


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
    is_untrained = meta.get('frames_seen') == 0
    begin = time.perf_counter()
    encoded = {}
    for split, path in lists.items():
        frames = token_features.labelled_frames(args.data_root, path,
                                                args.num_points,
                                                args.region_features)
        if split == 'train' and is_untrained:
            token_features.measure_norms(
                encoder, frames, args.seed, device=device)
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
