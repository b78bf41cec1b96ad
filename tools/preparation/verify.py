"""Verify every prepared file against the manifests.

    python tools/preparation/verify.py --data data/NAME
    python tools/preparation/verify.py --data data/NAME/region_maps

Each store (a folder with store.json) is checked: format version, records and
their merged manifest, size and checksum of every file, and what the files
hold: images decode, poses are rigid, depth is not empty, id maps are
contiguous and as large as their images, features are finite and as many as
regions, region files belong to their points. Files that no record names are
listed. The exit status is 0 if there are no problems, else 1.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import shutil
import sys
from typing import Optional, Sequence

from rich.console import Console

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.run_arguments import json_object
from sam3d_plugin.cli.step_tool import tool_main
from sam3d_plugin.cli.value_types import output_file, whole_number
from sam3d_plugin.preparation.checking.verification_report import (
    print_reports, verify, write_json)
from sam3d_plugin.preparation.running.workers import usable_cores


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--data',
        required=True,
        metavar='DIR',
        help='data set, or one store of it')
    parser.add_argument(
        '--workers',
        type=int,
        default=usable_cores(),
        metavar='N',
        help='threads that read (default: one for each core)')
    parser.add_argument(
        '--max-problems',
        type=whole_number,
        default=20,
        metavar='N',
        help='problems of a store that are printed (default: %(default)s)')
    parser.add_argument(
        '--json',
        type=output_file,
        metavar='FILE',
        help='write all problems into a file too')
    parser.add_argument('--backend-args', type=json_object, metavar='JSON')
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> int:
    """Verify and show what was found; 1 when something is wrong."""
    console = Console(
        highlight=False,
        markup=False,
        width=max(shutil.get_terminal_size().columns, 100))
    found = verify(args.data, args.workers, console, args.backend_args)
    print_reports(found, args.max_problems, console)
    if args.json:
        write_json(args.json, found)
    return int(any(r.problems or not r.items for r in found))


main = tool_main(parse_args, check)

if __name__ == '__main__':
    sys.exit(main())
