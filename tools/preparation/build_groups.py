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
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.run_arguments import json_object
from sam3d_plugin.cli.step_tool import plain_console, tool_main
from sam3d_plugin.preparation.features.groups_report import describe_groups
from sam3d_plugin.preparation.features.region_groups import (GroupOptions,
                                                             build_groups)
from sam3d_plugin.preparation.features.selected_scans import select_scans
from sam3d_plugin.store.files import join
from sam3d_plugin.store.region_features import KIND as FEATURES
from sam3d_plugin.store.region_groups import KIND as GROUPS
from sam3d_plugin.store.shards import shard_of_process


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data', required=True, metavar='DIR', help='data set')
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
    scans = parser.add_mutually_exclusive_group()
    scans.add_argument(
        '--scans-list',
        type=Path,
        metavar='FILE',
        help='text file with one scan name in a line (default: all scans)')
    scans.add_argument(
        '--infos',
        metavar='PKL',
        help='annotation file of the set, e.g. scannet_infos_train.pkl (a '
        'pickle: only from a source that you trust)')
    add_parameters(parser, GroupOptions)
    parser.add_argument(
        '--centroids',
        metavar='DIR',
        help='folder of the groups of the training set: assign only')
    parser.add_argument('--backend-args', type=json_object, metavar='JSON')
    args = parser.parse_args(argv)
    args.features = args.features or join(args.data, FEATURES)
    args.out = args.out or join(args.data, GROUPS, args.set)
    return args


def build(args: argparse.Namespace) -> None:
    """Build the groups."""
    console, rank = plain_console(), shard_of_process()
    if rank.index:
        console.print(f'rank {rank}: groups are built by the first rank alone')
        return
    report = build_groups(
        args.features, args.out,
        select_scans(args.scans_list, args.infos, args.backend_args),
        GroupOptions(**chosen(args, GroupOptions)), args.centroids,
        args.backend_args, console)
    console.print(describe_groups(report, args.out))


main = tool_main(parse_args, build)

if __name__ == '__main__':
    sys.exit(main())
