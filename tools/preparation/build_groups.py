"""Cluster the regions of a training set, and weigh the groups.

    python tools/preparation/build_groups.py --data data/NAME --set train \\
        --scans-list data/NAME/train.txt
    python tools/preparation/build_groups.py --data data/NAME --set val \\
        --scans-list data/NAME/val.txt \\
        --centroids data/NAME/region_groups/train

Reads data/NAME/region_features, writes data/NAME/region_groups/SET:
groups.safetensors (centroids, counts, weights), <scan>.safetensors (group of
every region), report.json and report.png. With --centroids the regions get
the groups of another set, and nothing is clustered.

Rerun the command to resume a stopped run; other options need another --set or
--out. Only the first rank of torchrun or srun works: the set is clustered at
once.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import List, Optional, Sequence

import mmengine
from rich.console import Console

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.features.region_groups import (POOLS,
                                                             GroupOptions,
                                                             build_groups)
from sam3d_plugin.preparation.running.cli import json_object
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.splits import read_list
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join
from sam3d_plugin.store.region_features import KIND as FEATURES
from sam3d_plugin.store.region_groups import KIND as GROUPS
from sam3d_plugin.store.shards import shard_of_process


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data',
        required=True,
        metavar='DIR',
        help='data set with a folder region_features')
    parser.add_argument(
        '--features',
        metavar='DIR',
        help='folder of the features (default: region_features in the data '
        'set)')
    parser.add_argument(
        '--set',
        default='train',
        metavar='SET',
        help='name of the set of scans (default: train)')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='folder to write (default: region_groups/SET in the data set)')
    _add_scan_arguments(parser)
    _add_group_arguments(parser)
    parser.add_argument(
        '--backend-args',
        type=json_object,
        metavar='JSON',
        help='arguments of mmengine.fileio for paths in an object store')
    args = parser.parse_args(argv)
    args.features = args.features or join(args.data, FEATURES)
    args.out = args.out or join(args.data, GROUPS, args.set)
    return args


def _add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        'scans', 'By default all scans that have features.')
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        '--scans-list',
        type=Path,
        metavar='FILE',
        help='text file with one scan name in a line')
    either.add_argument(
        '--infos',
        metavar='PKL',
        help='annotation file of the set, e.g. scannet_infos_train.pkl (a '
        'pickle: only from a source that you trust)')


def _add_group_arguments(parser: argparse.ArgumentParser) -> None:
    default = GroupOptions()
    group = parser.add_argument_group('groups')
    group.add_argument('--groups', type=int, default=default.groups)
    group.add_argument(
        '--pool',
        choices=POOLS,
        default=default.pool,
        help=f'features to cluster (default: {default.pool})')
    group.add_argument('--seed', type=int, default=default.seed)
    group.add_argument(
        '--epochs',
        type=int,
        default=default.epochs,
        help=f'passes over the set (default: {default.epochs})')
    group.add_argument(
        '--batch-size',
        type=int,
        default=default.batch_size,
        help=f'regions per step (default: {default.batch_size})')
    group.add_argument(
        '--buffer-size',
        type=int,
        default=default.buffer_size,
        help='regions that are shuffled together in memory (default: '
        f'{default.buffer_size})')
    group.add_argument(
        '--centroids',
        metavar='DIR',
        help='folder of the groups of the training set: assign only')


def select_scans(args: argparse.Namespace) -> Optional[List[str]]:
    """Names of the scans that the command line asks for; None is all.

    Args:
        args (argparse.Namespace): Parsed command line.

    Returns:
        Optional[List[str]]: The names.

    Raises:
        StoreError: When the file that names them cannot be read.
    """
    if args.scans_list:
        try:
            return read_list(args.scans_list)
        except ScanError as error:
            raise StoreError(str(error)) from error
    if not args.infos:
        return None
    try:
        infos = mmengine.load(
            args.infos, backend_args=args.backend_args)['data_list']
        paths = [info['lidar_points']['lidar_path'] for info in infos]
    except (OSError, EOFError, AttributeError, ImportError, KeyError,
            TypeError, ValueError, UnpicklingError) as error:
        raise StoreError(f'{args.infos} cannot be read ({error!r}); give an '
                         'annotation file of mmdet3d 1.x') from error
    return [PurePosixPath(path).stem for path in paths]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Build the groups; the exit status."""
    args = parse_args(argv)
    return run_tool(_run, args, PREPARATION)


def _run(args: argparse.Namespace) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    rank = shard_of_process()
    if rank.index:
        console.print(f'rank {rank}: groups are built by the first rank alone')
        return
    names = ('groups', 'pool', 'seed', 'epochs', 'batch_size', 'buffer_size')
    report = build_groups(
        args.features, args.out, select_scans(args),
        GroupOptions(**{name: getattr(args, name)
                        for name in names}), args.centroids, args.backend_args,
        console)
    head, tail = report['head'], report['tail']
    console.print(
        f'region_groups: {report["regions"]:,} regions in '
        f'{report["groups"]} groups in {args.out}\n'
        f'  empty groups: {report["empty_groups"] or "none"}\n'
        f'  largest {head["groups"]} groups: '
        f'{head["share_of_regions"]:.1%} of the regions, '
        f'{head["share_of_weight"]:.1%} of the weight\n'
        f'  smallest {tail["groups"]} groups: '
        f'{tail["share_of_regions"]:.1%} of the regions, '
        f'{tail["share_of_weight"]:.1%} of the weight\n'
        f'  effective sample size {report["effective_sample_size"]:,.0f}; '
        'see report.json and report.png')


if __name__ == '__main__':
    sys.exit(main())
