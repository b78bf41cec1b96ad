"""The journal as a state machine: whatever happens, no record is untrue.

Items are made, runs stop between two items, at a failed file operation or in
the middle of a line; inputs change, come and go; shards differ from run to
run.
"""
import io
import json
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (RuleBasedStateMachine, initialize, invariant,
                                 precondition, rule)
from rich.console import Console

from sam3d_plugin.preparation.running.frame_steps import FrameStep, Product
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.manifest import MANIFEST, Store, file_checksum
from sam3d_plugin.store.shards import Shard
from tests.file_faults import Faults, contents, failing

SCANS, ITEMS = 'ab', '012'
SHARDS = [Shard(i, count) for count in (1, 2, 3) for i in range(count)]
# All as long as their double, so that sizes tell nothing.
VALUES = st.integers(10, 49)


class Stop(BaseException):
    """Ends a run as Ctrl-C does."""


class Doubling(FrameStep):
    """Twice the number of each item.

    Args:
        numbers (dict): By scan and item.
        packs_items (bool): Whether a scan's items end in one file.
        left (int): Items to make before the run is stopped.
    """
    kind = 'doubles'

    def __init__(self, numbers, packs_items, left=10**9):
        self.numbers = numbers
        self.packs_items = packs_items
        self.left = left
        self.made = []

    def settings(self):
        return {}

    def scans(self):
        return list(SCANS)

    def items(self, scan):
        return sorted(self.numbers[scan])

    def paths(self, scan, item):
        return [f'{scan}/{item}.txt']

    def inputs(self, scan, item):
        return dict(number=str(self.numbers[scan][item]))

    def process(self, scan, items):
        if self.left == 0:
            raise Stop
        self.left -= 1
        item, = items
        self.made.append((scan, item))
        path, = self.paths(scan, item)
        return [Product({path: b'%d' % (2 * self.numbers[scan][item])})]

    def finish(self, scan, items, read):
        if not self.packs_items or not items:
            return {}
        packed = {
            name: read(path).decode()
            for name, item in items.items()
            for path in item.files
        }
        missing = set(items) - set(packed)
        old = json.loads(read(f'{scan}.json')) if missing else {}
        packed.update({name: old[name] for name in missing})
        return {f'{scan}.json': json.dumps(packed, sort_keys=True).encode()}


class Journal(RuleBasedStateMachine):
    """One store, and what must be true of it."""
    packs_items = False

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix='journal_'))
        self.store = Store(self.folder / 'out')
        self.numbers = {scan: {} for scan in SCANS}

    def teardown(self):
        shutil.rmtree(self.folder)

    @initialize(values=st.lists(VALUES, min_size=6, max_size=6))
    def begin(self, values):
        for scan in SCANS:
            self.numbers[scan] = {item: values.pop() for item in ITEMS}

    @rule(
        scan=st.sampled_from(SCANS), item=st.sampled_from(ITEMS), value=VALUES)
    def change_input(self, scan, item, value):
        self.numbers[scan][item] = value

    @rule(scan=st.sampled_from(SCANS), item=st.sampled_from(ITEMS))
    def remove_input(self, scan, item):
        if len(self.numbers[scan]) > 1:
            self.numbers[scan].pop(item, None)

    @rule(shard=st.sampled_from(SHARDS))
    def run(self, shard):
        """A whole run makes what is not there, and nothing else."""
        expected = self.missing(shard)
        made = self.go(shard)
        assert sorted(made) == expected
        assert self.missing(shard) == [] and self.go(shard) == []
        for scan in shard.select(SCANS):
            assert not self.store.has_journal(scan)

    @rule(count=st.sampled_from([2, 3]))
    def run_all_shards(self, count):
        expected = self.missing(Shard())
        made = [self.go(Shard(i, count)) for i in range(count)]
        assert sorted(sum(made, [])) == expected
        folder = self.folder / 'fresh'
        run_step(
            Doubling(self.numbers, self.packs_items), folder,
            RunOptions(workers=0), quiet())
        fresh, found = contents(folder), contents(self.store.root)
        assert {name: found[name] for name in fresh} == fresh
        shutil.rmtree(folder)

    @rule(shard=st.sampled_from(SHARDS), left=st.integers(0, 5))
    def stop_between_items(self, shard, left):
        expected = self.missing(shard)
        try:
            made = self.go(shard, left)
        except Stop:
            assert len(expected) > left
        else:
            assert sorted(made) == expected

    @rule(scan=st.sampled_from(SCANS), first=st.integers(1, 60))
    def kill(self, scan, first):
        with failing(Faults(self.folder, first, True)):
            try:
                self.go(self.only(scan))
            except (OSError, ValueError):
                pass

    @rule(
        scan=st.sampled_from(SCANS),
        values=st.lists(VALUES, min_size=6, max_size=6),
        left=st.integers(1, 4),
        first=st.integers(10, 60))
    def kill_while_inputs_change(self, scan, values, left, first):
        """New products may be there or not; then the old inputs are back."""
        old = self.numbers[scan] = dict(zip(ITEMS, values))
        try:
            self.go(self.only(scan), left)
        except Stop:
            assert left < len(ITEMS)
        self.numbers[scan] = dict(zip(ITEMS, values[3:]))
        self.kill(scan, first)
        self.every_record_is_true()
        self.numbers[scan] = old

    @staticmethod
    def only(scan):
        """The shard that is one scan."""
        return Shard(SCANS.index(scan), len(SCANS))

    @precondition(lambda self: self.store.open_scans())
    @rule(data=st.data())
    def tear(self, data):
        """The end of a journal is lost, at any byte after its first line."""
        scan = data.draw(st.sampled_from(self.store.open_scans()))
        path = Path(self.store.path('records', f'{scan}.jsonl'))
        content = path.read_bytes()
        first = content.index(b'\n') + 1
        path.write_bytes(content[:data.draw(st.integers(first, len(content)))])

    @invariant()
    def every_record_is_true(self):
        """Its files are there, and are what its inputs make."""
        records = [self.store.record(scan) for scan in SCANS]
        records += [self.store.journal(s) for s in self.store.open_scans()]
        if Path(self.store.path(MANIFEST)).exists():
            records += self.store.manifest().values()
        for record in filter(None, records):
            packed = {}
            if record.scan not in self.store.open_scans():
                for path, mark in record.files.items():
                    content = self.store.read(path)
                    assert file_checksum(content) == mark
                    packed = json.loads(content)
            for name, item in record.completed.items():
                files = [self.store.read(path) for path in item.files]
                if packed:
                    files.append(packed[name].encode())
                assert files or record.scan in self.store.open_scans()
                double = b'%d' % (2 * int(item.inputs['number']))
                assert all(content == double for content in files)

    def missing(self, shard):
        """Items that are not recorded, or of another number."""
        result = []
        for scan in shard.select(SCANS):
            record = self.store.record(scan) or self.store.journal(scan)
            items = record.items if record else {}
            result += [(scan, item)
                       for item, number in self.numbers[scan].items()
                       if item not in items or items[item].inputs != dict(
                           number=str(number))]
        return sorted(result)

    def go(self, shard, left=10**9):
        """Items that a run has made; what was there before is kept."""
        step = Doubling(self.numbers, self.packs_items, left)
        missing = self.missing(Shard())
        try:
            run_step(step, self.store.root, RunOptions(shard, workers=0),
                     quiet())
        finally:
            assert set(self.missing(Shard())) <= set(missing)
        return step.made


class PackedJournal(Journal):
    """The same where a scan's items end in one file."""
    packs_items = True


def quiet():
    return Console(file=io.StringIO())


OFTEN = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestJournal = Journal.TestCase
TestPackedJournal = PackedJournal.TestCase
TestJournal.settings = TestPackedJournal.settings = OFTEN
