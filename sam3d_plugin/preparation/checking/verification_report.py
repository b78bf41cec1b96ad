"""Runs a verification with its progress, and shows what it found."""
import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Dict, List, Sequence

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)
from rich.table import Table

from ...store.errors import StoreError
from ...store.files import BackendArgs, exists
from .verification import Verifier
from .verification_books import StoreReport, data_folder


def verify(data: str, workers: int, console: Console,
           backend_args: BackendArgs) -> List[StoreReport]:
    """Check the stores of a data set, or one of them.

    Args:
        data (str): The data set, or the store.
        workers (int): Threads that read.
        console (Console): Shows the progress if it is a terminal.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        List[StoreReport]: One for each store.

    Raises:
        StoreError: When there is no such folder, or no store in it.
    """
    if not exists(data, backend_args):
        raise StoreError(f'{data} does not exist; check --data')
    path = data.rstrip('/')
    root = data_folder(path, backend_args)
    folders = None if root == path else [
        path if root == '.' else path[len(root) + 1:]
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

        return Verifier(root, workers, backend_args, show).run(folders)


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
