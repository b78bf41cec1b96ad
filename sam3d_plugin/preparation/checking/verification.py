"""Verification of all files of a data set's stores."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import (Any, Callable, Dict, Iterator, List, Optional, Sequence,
                    Tuple, Union)

from ...store.errors import StoreError
from ...store.files import BackendArgs, PathLike, join, read_bytes
from ...store.manifest import HEADER, Store
from ...store.records import (FileChecksum, ItemRecord, ScanRecord,
                              file_checksum)
from .content_checks import CONTENT_CHECKS, Checked, check_contents
from .verification_books import (AGAIN, REMOVE, Problem, StoreReport,
                                 find_stores, find_strays, half_copied,
                                 note_incomplete, read_books, relative)

Progress = Optional[Callable[[int, int], None]]
_ITEMS_PER_TASK = 16


@dataclass(frozen=True)
class _Task:
    """Files to read in one go, and the item they are of (None: the scan)."""
    report: StoreReport
    store: Store
    record: ScanRecord
    names: Sequence[Optional[str]]


class Verifier:
    """Checks the stores of one data set.

    Args:
        data (PathLike): Folder of the data set.
        workers (int): Threads that read.
        backend_args (BackendArgs): Arguments of the file backend.
        progress (Progress): Called with the number of items done
            and of all.
    """

    def __init__(self,
                 data: PathLike,
                 workers: int = 1,
                 backend_args: BackendArgs = None,
                 progress: Progress = None) -> None:
        self.data = str(data).rstrip('/')
        self.workers = max(workers, 1)
        self.backend_args = backend_args
        self.progress = progress
        self._shared: Dict[str, Any] = {}

    def run(self,
            folders: Optional[Sequence[str]] = None) -> List[StoreReport]:
        """Check some stores, or all; StoreError when there is none."""
        self._shared = {}
        found = find_stores(self.data, self.backend_args)
        chosen = found if folders is None else list(folders)
        reports, tasks = [], []
        for folder in chosen:
            report = StoreReport(folder)
            reports.append(report)
            tasks += self._read_books(report)
        if folders is None:
            reports += half_copied(self.data, found, self.backend_args)
        if not reports:
            raise StoreError(f'{self.data} has no store: no folder with a '
                             f'{HEADER}; run a step of preparation first')
        self._run_tasks(tasks)
        listed = set().union(*(report.listed for report in reports))
        for report in reports:
            find_strays(self.data, report, listed, found, self.backend_args)
        note_incomplete(reports)
        return reports

    def _read_books(self, report: StoreReport) -> List[_Task]:
        """Files of a store that remain to be read after its books."""
        root = join(self.data, report.folder) if report.folder else self.data
        store = Store(root, self.backend_args)
        read_books(self.data, store, report)
        tasks = []
        for record in report.records.values():
            names: List[Optional[str]] = [*record.completed]
            tasks += [
                _Task(report, store, record, names[i:i + _ITEMS_PER_TASK])
                for i in range(0, len(names), _ITEMS_PER_TASK)
            ]
            if record.files:
                tasks.append(_Task(report, store, record, [None]))
        return tasks

    def _run_tasks(self, tasks: Sequence[_Task]) -> None:
        total = sum(len(task.names) for task in tasks)
        done = 0
        # Reading, decoding and hashing happen outside Python's lock.
        with ThreadPoolExecutor(self.workers) as pool:
            for task, sizes, problems in pool.map(self._check_files, tasks):
                task.report.files += len(sizes)
                task.report.size += sum(sizes)
                for problem in problems:
                    task.report.complain(problem.path, problem.what,
                                         problem.remedy)
                done += len(task.names)
                if self.progress is not None:
                    self.progress(done, total)

    def _check_files(self,
                     task: _Task) -> Tuple[_Task, List[int], List[Problem]]:
        """Bytes of the files of some items, and what is wrong with them."""
        sizes, problems = [], []
        for name in task.names:
            item = None if name is None else task.record.items[name]
            known = task.record.files if item is None else item.files
            contents: Dict[str, bytes] = {}
            for path, recorded in known.items():
                content = self._read(task.store, path, recorded)
                if isinstance(content, Problem):
                    problems.append(content)
                    sizes.append(0)
                else:
                    contents[path] = content
                    sizes.append(len(content))
            problems.extend(self._look_inside(task, item, contents))
        return task, sizes, problems

    def _read(self, store: Store, path: str,
              recorded: FileChecksum) -> Union[bytes, Problem]:
        """Content of a file that is as recorded."""
        try:
            content = read_bytes(store.path(path), self.backend_args)
        except FileNotFoundError:
            return Problem(path, 'it is missing', AGAIN)
        except OSError as error:
            return Problem(path, f'it cannot be read ({error.strerror})',
                           'check the disk')
        if len(content) != recorded[0]:
            return Problem(
                path, f'it has {len(content):,} bytes, the record says '
                f'{recorded[0]:,}', REMOVE)
        if file_checksum(content) != recorded:
            return Problem(path, 'its checksum is not that of the record',
                           REMOVE)
        return content

    def _look_inside(self, task: _Task, item: Optional[ItemRecord],
                     contents: Dict[str, bytes]) -> Iterator[Problem]:
        """Apply the content checks of the files' folders."""
        folder, kind = task.report.folder, task.report.kind
        parts: Dict[str, Dict[str, bytes]] = {}
        for path, content in contents.items():
            if kind in CONTENT_CHECKS:
                parts.setdefault(folder, {})[path] = content
            else:
                top, _, rest = path.partition('/')
                parts.setdefault(task.report.path(top), {})[rest] = content
        for part, files in parts.items():
            key = kind if kind in CONTENT_CHECKS else part
            if key not in CONTENT_CHECKS:
                continue
            checked = Checked(self.data, part, task.record, item, files,
                              self.backend_args, self._shared)
            for path, what in check_contents(key, checked):
                full = f'{part}/{path}'
                start = f'{folder}/' if folder else ''
                yield Problem(full[len(start):],
                              relative(StoreError(what), self.data), REMOVE)
