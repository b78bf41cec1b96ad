"""Estimates of a step: items, hours, bytes."""
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from rich.console import Console

from ...store.errors import FrameError, StoreError
from ...store.files import BackendArgs, PathLike, is_local
from ...store.manifest import Store
from ...store.records import ItemRecord, ScanRecord
from ...visualization.scan_page import evenly
from ..running.frame_steps import FrameStep
from ..running.runs import RunOptions, worker_count
from ..running.scan_jobs import make_items

# Published cost of SAM ViT-H, "segment everything", 640x480 pixels.
SAM_SECONDS = 5.6
SAM_SOURCE = ('published, not measured: SAM ViT-H takes 5 to 6 s per 640x480 '
              'image on a desktop GPU, 39 GPU-hours for 25,000 frames')

# Names of items by scan.
Items = Dict[str, List[str]]


@dataclass(frozen=True)
class Sample:
    """Measured cost of some items."""
    items: int  # Items that were made and timed
    skipped: int  # Items of the sample that were skipped
    seconds: float  # Per item, in one process
    start_seconds: float  # Once per process: loading and compiling
    size: float  # Bytes per item
    source: str  # How this is known


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a step."""
    step: str  # Kind of the store it makes
    unit: str  # What an item is
    scans: int  # Scans of the shard
    items: int  # Their items
    done: int  # Items that are made already
    workers: int  # Processes that work
    device: str  # ``'GPU'`` or ``'CPU'``
    sample: Sample  # What one item costs
    free: Optional[int]  # Free bytes of the disk; None for object stores

    @property
    def left(self) -> int:
        """Items that are left to make."""
        return self.items - self.done

    @property
    def device_hours(self) -> float:
        """Hours of one GPU, or of one core."""
        return (self.left * self.sample.seconds +
                self.workers * self.sample.start_seconds) / 3600

    @property
    def hours(self) -> float:
        """Duration if workers do not slow each other down."""
        return self.device_hours / self.workers

    @property
    def size(self) -> int:
        """Bytes that will be written."""
        return round(self.left * self.sample.size)

    def to_json(self) -> Dict[str, Any]:
        """The fields and what follows from them."""
        return dict(
            asdict(self),
            left=self.left,
            device_hours=self.device_hours,
            hours=self.hours,
            size=self.size)


def free_space(out: PathLike,
               backend_args: BackendArgs = None) -> Optional[int]:
    """Free bytes where a folder is or will be; None in object stores."""
    if not is_local(out, backend_args):
        return None
    folder = os.path.abspath(out)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def list_items(step: FrameStep, options: RunOptions) -> Items:
    """All items of the shard's scans; unusable scans have none."""
    items: Items = {}
    for scan in options.shard.select(step.scans()):
        try:
            items[scan] = step.items(scan)
        except FrameError:
            items[scan] = []
    return items


def count_done(items: Items, out: PathLike, backend_args: BackendArgs) -> int:
    """Items of complete scans in a store, which need not exist."""
    store = Store(out, backend_args)
    done = set(store.recorded_scans()) & set(items)
    return sum(len(items[scan]) for scan in done)


def choose_batches(items: Items, count: int,
                   batch_size: int) -> List[Tuple[str, List[str]]]:
    """A sample of ``count`` items spread over the scans, in batches from the
    middle of one scan each."""
    scans = [scan for scan, names in items.items() if names]
    size = max(min(batch_size, count), 1)
    wanted = -(-count // size)
    chosen = evenly(scans, wanted)
    # With fewer scans than batches, several come from one scan.
    each = -(-wanted // len(chosen)) if chosen else 0
    batches = []
    for scan in chosen:
        names = items[scan]
        blocks = [names[i:i + size] for i in range(0, len(names), size)]
        # The last and the first block may be short or unlike the others.
        middle = blocks[1:-1] if len(blocks) > each + 1 else blocks
        starts = evenly([str(i) for i in range(len(middle))], each)
        batches += [(scan, middle[int(i)]) for i in starts]
    return batches[:wanted]


def measure(step: FrameStep,
            batches: Sequence[Tuple[str, List[str]]],
            limit: float = 120.0) -> Sample:
    """Make a sample in a temporary folder and time it.

    The first batch is made twice, since at first models are loaded and loops
    compiled; but not if it takes more than half of the ``limit``, seconds
    after which no batch is begun. StoreError when no item can be made.
    """
    if not batches:
        raise StoreError(f'{step.kind}: there are no {step.unit} to work on; '
                         'check the input folder')
    end = time.perf_counter() + limit
    with tempfile.TemporaryDirectory(prefix='sam3d_estimate_') as folder:
        store = Store(folder)
        first = _make(step, store, *batches[0])
        is_slow = first[0] > limit / 2
        timed = [first if is_slow else _make(step, store, *batches[0])]
        for batch in batches[1:]:
            if time.perf_counter() < end:
                timed.append(_make(step, store, *batch))
    records = [record for _, found in timed for record in found]
    made = [record for record in records if record.status == 'ok']
    if not made:
        raise StoreError(f'{step.kind}: no item of the sample can be made: '
                         f'{records[0].reason}')
    size = sum(files[0] for r in made for files in r.files.values())
    start = 0.0 if is_slow else max(first[0] - timed[0][0], 0.0)
    return Sample(
        items=len(made),
        skipped=len(records) - len(made),
        seconds=sum(seconds for seconds, _ in timed) / len(records),
        start_seconds=start,
        size=size / len(records),
        source=f'measured on {len(records)} {step.unit} of this machine')


def _make(step: FrameStep, store: Store, scan: str,
          names: Sequence[str]) -> Tuple[float, List[ItemRecord]]:
    """Seconds and records of one batch."""
    # Libraries that use all cores here use one each in worker processes.
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        store.open_journal(ScanRecord(scan))
        store.write(step.begin(scan))
        records = make_items(step, store, scan, names)
    except FrameError as error:
        raise StoreError(f'{scan} cannot be used: {error}') from error
    seconds = max(time.perf_counter() - begin, time.process_time() - cpu)
    return seconds, [*records.values()]


def published_sam(size: float) -> Sample:
    """Cost of SAM where it cannot be run; id maps take ``size`` bytes."""
    return Sample(0, 0, SAM_SECONDS, 0.0, size, SAM_SOURCE)


def estimate(step: FrameStep,
             out: PathLike,
             options: RunOptions,
             items: Items,
             sample: Sample,
             device: str = '') -> Estimate:
    """Cost of all items that are not done.

    ``device`` is ``'GPU'`` or ``'CPU'``; by default it depends on whether the
    step keeps to one process and there is a GPU.
    """
    if not device:
        device = 'CPU'
        if step.in_process:
            import torch  # takes seconds, and most steps do without
            device = 'GPU' if torch.cuda.is_available() else 'CPU'
    workers = worker_count(step, options.workers, Console(quiet=True))
    return Estimate(
        step=step.kind,
        unit=step.unit,
        scans=len(items),
        items=sum(map(len, items.values())),
        done=count_done(items, out, options.backend_args),
        workers=max(workers, 1),
        device=device,
        sample=sample,
        free=free_space(out, options.backend_args))
