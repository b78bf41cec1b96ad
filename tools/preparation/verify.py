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
import json
import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Sequence

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)
from rich.table import Table

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.cli.value_types import output_file, whole_number
from sam3d_plugin.preparation.checking.verification import Verifier
from sam3d_plugin.preparation.checking.verification_books import (StoreReport,
                                                                  data_folder)
from sam3d_plugin.preparation.running.cli import json_object
from sam3d_plugin.preparation.running.workers import usable_cores
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import exists


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
    parser.add_argument(
        '--backend-args',
        type=json_object,
        metavar='JSON',
        help='arguments of mmengine.fileio for paths in an object store')
    return parser.parse_args(argv)


def verify(args: argparse.Namespace, console: Console) -> List[StoreReport]:
    """Check the stores that the command line names.

    Args:
        args (argparse.Namespace): The command line.
        console (Console): Shows the progress if it is a terminal.

    Returns:
        List[StoreReport]: One for each store.

    Raises:
        StoreError: When there is no such folder, or no store in it.
    """
    if not exists(args.data, args.backend_args):
        raise StoreError(f'{args.data} does not exist; check --data')
    path = args.data.rstrip('/')
    data = data_folder(path, args.backend_args)
    folders = None if data == path else [
        path if data == '.' else path[len(data) + 1:]
    ]
    with ExitStack() as stack:
        progress = stack.enter_context(
            Progress(
                TextColumn('verify'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                disable=not console.is_terminal or 'CI' in os.environ))
        bar = progress.add_task('verify', total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        return Verifier(data, args.workers, args.backend_args,
                        show).run(folders)


def print_reports(reports: Sequence[StoreReport], max_problems: int,
                  console: Console) -> None:
    """Print a table of the stores and their first problems."""
    table = Table()
    for title in ('store', 'kind'):
        table.add_column(title, overflow='fold')
    for title in ('scans', 'made', 'skipped', 'files', 'MB', 'problems'):
        table.add_column(title, justify='right')
    for report in reports:
        numbers = (report.scans, report.items, report.skipped, report.files)
        table.add_row(report.folder or '.', report.kind,
                      *(f'{n:,}' for n in numbers),
                      f'{report.size / 1e6:,.1f}', f'{len(report.problems):,}')
    console.print(table)
    for report in reports:
        for problem in report.problems[:max_problems]:
            console.print(f'{problem}', soft_wrap=True)
        for note in report.notes[:max_problems]:
            console.print(f'note: {note}', soft_wrap=True)
        left = len(report.problems) - max_problems
        if left > 0:
            console.print(f'{report.folder}: {left:,} more problems; --json '
                          'FILE writes all')
    for report in empty_stores(reports):
        console.print(f'{report.folder or "."} is empty: no {report.kind} '
                      'were made')
    count = sum(len(report.problems) for report in reports)
    if count:
        console.print(f'{count:,} problems')
    elif not empty_stores(reports):
        console.print('every file is there, complete and as recorded')


def empty_stores(reports: Sequence[StoreReport]) -> List[StoreReport]:
    """Stores of runs that made nothing."""
    return [report for report in reports if not report.items]


def write_json(path: str, reports: Sequence[StoreReport]) -> None:
    """Write the reports with all problems."""
    entries: List[Dict[str, Any]] = []
    for report in reports:
        entry = dict(
            vars(report), problems=[asdict(p) for p in report.problems])
        for name in ('listed', 'records'):
            del entry[name]
        entries.append(entry)
    with open(path, 'w') as file:
        json.dump(entries, file, indent=1)


def check(args: argparse.Namespace) -> int:
    """Verify and show what was found; 1 when something is wrong."""
    console = Console(
        highlight=False,
        markup=False,
        width=max(shutil.get_terminal_size().columns, 100))
    found = verify(args, console)
    print_reports(found, args.max_problems, console)
    if args.json:
        write_json(args.json, found)
    return int(any(r.problems or not r.items for r in found))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Verify; 0, or 1 when something is wrong."""
    return run_tool(check, parse_args(argv), PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
