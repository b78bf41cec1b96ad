"""Running steps: resume, shards, workers, records, bad items."""
import errno
import io
import json
import os

import pytest
from rich.console import Console

from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.running import runs
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import StoreError, explain_os_error
from sam3d_plugin.store.locks import scan_lock
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.shards import Shard
from .doubling import Doubling

HERE = RunOptions(workers=0)


@pytest.fixture
def source(tmp_path):
    for scan in 'abc':
        for i in range(3):
            path = tmp_path / 'source' / scan / f'{i}.txt'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(i + 10))
    return tmp_path / 'source'


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'out'


def quiet():
    return Console(file=io.StringIO(), width=200)


def files_of(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob('*')
        if path.is_file() and path.parent.name != '.locks'
    }


def test_every_item_is_made_and_recorded(source, out):
    console = quiet()
    report = run_step(Doubling(source), out, HERE, console)
    assert (report.scans, report.made, report.kept) == (3, 9, 0)
    manifest = Store(out).manifest()
    assert list(manifest) == ['a', 'b', 'c']
    record = manifest['b'].items['1']
    assert record.status == 'ok' and record.fields == {'value': 22}
    size, checksum = record.files['b/1.b']
    assert size == 2 and (out / 'b/1.b').read_bytes() == b'22'
    assert manifest['b'].files['b.first'][0] == 6
    assert str(out) not in (out / 'manifest.json').read_text()
    assert '9 frames made' in console.file.getvalue()


def test_a_report_is_written_for_other_programs(source, out, tmp_path):
    (source / 'b/1.txt').write_text('broken')
    path = tmp_path / 'report.json'
    options = RunOptions(workers=0, report=str(path))
    run_step(Doubling(source), out, options, quiet())
    report = json.loads(path.read_text())
    assert report['made'] == 8 and report['seconds'] > 0
    assert report['skipped'] == {'b/1': '1 is not a number'}


def test_a_second_run_makes_nothing(source, out, tmp_path):
    run_step(Doubling(source), out, HERE, quiet())
    before = files_of(out)
    log = tmp_path / 'log'
    report = run_step(Doubling(source, log=log), out, HERE, quiet())
    assert (report.made, report.kept) == (0, 9)
    assert not log.exists()
    assert files_of(out) == before


def stop_at(source, out, item, **options):
    """A run that is stopped when it comes to an item of scan b."""
    path = source / f'b/{item}.txt'
    text = path.read_text()
    path.write_text('stop')
    with pytest.raises(KeyboardInterrupt):
        run_step(Doubling(source, **options), out, HERE, quiet())
    path.write_text(text)


@pytest.mark.parametrize('packs_items', [False, True])
def test_a_stopped_run_is_resumed_at_its_item(source, out, tmp_path,
                                              packs_items):
    log = tmp_path / 'log'
    step = Doubling(source, packs_items=packs_items, log=log)
    run_step(step, tmp_path / 'expected', HERE, quiet())
    log.unlink()
    stop_at(source, out, '2', packs_items=packs_items)
    assert Store(out).open_scans() == ['b']
    assert Store(out).record('b') is None
    report = run_step(step, out, HERE, quiet())
    assert (report.made, report.kept) == (4, 5)
    assert log.read_text().split() == ['b/2', 'c/0', 'c/1', 'c/2']
    assert files_of(out) == files_of(tmp_path / 'expected')


def test_a_torn_line_costs_its_item_only(source, out, tmp_path):
    stop_at(source, out, '2')
    journal = out / 'records/b.jsonl'
    content = journal.read_bytes()
    assert content.count(b'\n') == 3
    for length in range(content.index(b'\n') + 1, len(content)):
        journal.write_bytes(content[:length])
        assert list(Store(out).journal('b').items) == [
            str(i) for i in range(content[:length].count(b'\n') - 1)
        ]
    journal.write_bytes(content[:-5])
    log = tmp_path / 'log'
    run_step(Doubling(source, log=log), out, HERE, quiet())
    assert log.read_text().split()[:2] == ['b/1', 'b/2']


@pytest.mark.parametrize('packs_items', [False, True])
def test_what_was_made_of_an_input_that_changed_is_made_again(
        source, out, tmp_path, packs_items):
    stop_at(source, out, '2', packs_items=packs_items)
    (source / 'b/0.txt').write_text('99')  # as long, and so is the product
    step = Doubling(source, packs_items=packs_items)
    run_step(step, out, HERE, quiet())
    run_step(step, tmp_path / 'expected', HERE, quiet())
    assert files_of(out) == files_of(tmp_path / 'expected')


@pytest.mark.parametrize('packs_items', [False, True])
def test_an_input_may_change_and_change_back(source, out, packs_items):
    """The file of the second input is there, the record of the first not."""
    step = Doubling(source, packs_items=packs_items)
    run_step(step, out, HERE, quiet())
    expected = files_of(out)
    (source / 'b/0.txt').write_text('99')
    (source / 'b/1.txt').write_text('98')
    stop_at(source, out, '2', packs_items=packs_items)
    with pytest.raises(StoreError, match='manifest'):
        Store(out).manifest()
    (source / 'b/0.txt').write_text('10')
    (source / 'b/1.txt').write_text('11')
    run_step(step, out, HERE, quiet())
    assert files_of(out) == expected


def test_drafts_of_a_killed_run_are_removed(source, out):
    run_step(Doubling(source), out, HERE, quiet())
    expected = files_of(out)
    for name in ('a/.0.b.x1.tmp', 'records/.a.json.x2.tmp'):
        (out / name).write_bytes(b'half')
    (out / 'a/.unknown.x3.tmp').write_bytes(b'of somebody else')
    run_step(Doubling(source), out, HERE, quiet())
    (out / 'a/.unknown.x3.tmp').unlink()
    assert files_of(out) == expected


def test_a_lost_or_short_file_is_made_again(source, out):
    run_step(Doubling(source), out, HERE, quiet())
    expected = files_of(out)
    (out / 'a/0.a').unlink()
    (out / 'c/1.b').write_bytes(b'')
    assert run_step(Doubling(source), out, HERE, quiet()).made == 2
    assert files_of(out) == expected


@pytest.mark.parametrize('content', ['{"scan": ', '[' * 100000])
@pytest.mark.parametrize('name', ['a.json', 'a.jsonl'])
def test_a_damaged_record_or_journal_costs_its_scan_only(
        source, out, name, content):
    run_step(Doubling(source), out, HERE, quiet())
    expected = files_of(out)
    (out / 'records/a.json').unlink()
    (out / f'records/{name}').write_text(content)
    assert run_step(Doubling(source), out, HERE, quiet()).made == 3
    assert files_of(out) == expected


def test_bad_items_are_skipped_named_and_tried_again(source, out):
    (source / 'b/1.txt').write_text('broken')
    (source / 'a/twice.txt').write_text('1')
    (source / 'closed').mkdir()
    (source / 'closed/0.txt').write_text('1')
    (source / 'empty').mkdir()
    console = quiet()
    report = run_step(Doubling(source), out, HERE, console)
    reasons = {
        'b/1': '1 is not a number',
        'a': 'there are two of twice',
        'closed': 'closed on Mondays',
        'empty': 'empty has no frames'
    }
    assert report.skipped == reasons
    assert all(reason in console.file.getvalue()
               for reason in reasons.values())
    manifest = Store(out).manifest()
    assert manifest['b'].items['1'].status == 'skipped'
    assert manifest['closed'].reason == 'closed on Mondays'
    assert not (out / 'b/1.a').exists()
    (source / 'b/1.txt').write_text('5')
    (source / 'a/twice.txt').unlink()
    report = run_step(Doubling(source), out, HERE, quiet())
    assert report.made == 4
    assert sorted(report.skipped) == ['closed', 'empty']
    assert Store(out).manifest()['a'].reason == ''


def test_parts_are_packed_and_removed(source, out, tmp_path):
    step = Doubling(source, packs_items=True)
    run_step(step, out, HERE, quiet())
    assert json.loads((out / 'a.json').read_text()) == {
        '0': '20',
        '1': '22',
        '2': '24'
    }
    assert not (out / 'a').exists()
    assert Store(out).manifest()['a'].items['0'].files == {}
    before = files_of(out)
    assert run_step(step, out, HERE, quiet()).kept == 9
    assert files_of(out) == before
    (source / 'a/3.txt').write_text('50')
    log = tmp_path / 'log'
    step = Doubling(source, packs_items=True, log=log)
    assert run_step(step, out, HERE, quiet()).made == 1
    assert log.read_text().split() == ['a/3']
    assert json.loads((out / 'a.json').read_text())['3'] == '100'
    assert json.loads((out / 'a.json').read_text())['0'] == '20'
    assert not list(out.glob('*/*.a'))


def test_other_settings_are_refused(source, out):
    run_step(Doubling(source), out, HERE, quiet())
    with pytest.raises(StoreError, match='factor 2, now 3'):
        run_step(Doubling(source, factor=3), out, HERE, quiet())


def test_shards_are_disjoint_and_merge(source, out, tmp_path):
    log = tmp_path / 'log'
    for i in range(2):
        options = RunOptions(Shard(i, 2), workers=0)
        run_step(Doubling(source, log=log), out, options, quiet())
    assert sorted(log.read_text().split()) == [
        f'{scan}/{i}' for scan in 'abc' for i in range(3)
    ]
    assert list(Store(out).manifest()) == ['a', 'b', 'c']


def test_two_writers_of_one_scan_are_refused(source, out):
    with scan_lock(out, 'b'):
        with pytest.raises(
                StoreError, match=f'scan b is being .* process {os.getpid()}'):
            run_step(Doubling(source), out, HERE, quiet())
    assert run_step(Doubling(source), out, HERE, quiet()).kept == 3


def test_a_full_disk_stops_with_a_sentence(source, out, monkeypatch):
    write = Store.write

    def full(self, files, sync=False):
        if any(name.startswith('b/1') for name in files):
            raise OSError(errno.ENOSPC, 'No space left on device', 'x')
        return write(self, files, sync)

    monkeypatch.setattr(Store, 'write', full)
    with pytest.raises(OSError) as error:
        run_step(Doubling(source), out, HERE, quiet())
    assert 'rerun the command' in explain_os_error(error.value)
    monkeypatch.undo()
    report = run_step(Doubling(source), out, HERE, quiet())
    assert report.kept == 4 and report.made == 5


def test_no_scan_is_an_error(tmp_path):
    (tmp_path / 'source').mkdir()
    with pytest.raises(StoreError, match='no scan to work on'):
        run_step(Doubling(tmp_path / 'source'), tmp_path / 'out', HERE)


def test_workers_make_the_same_store(source, out, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.workers, 'usable_cores', lambda: 2)
    (source / 'b/1.txt').write_text('broken')
    run_step(Doubling(source), out, HERE, quiet())
    other = tmp_path / 'other'
    console = quiet()
    run_step(Doubling(source), other, RunOptions(workers=5), console)
    assert files_of(other) == files_of(out)
    assert 'more than the 2 cores' in console.file.getvalue()


def test_ranks_of_a_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(16)))
    assert runs.workers.usable_cores() == 16
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '8')
    assert runs.workers.usable_cores() == 2


def test_a_dead_worker_is_an_error(source, out, monkeypatch):
    monkeypatch.setattr(runs.workers, 'usable_cores', lambda: 2)
    (source / 'c/2.txt').write_text('die')
    with pytest.raises(StoreError, match='a worker process died'):
        run_step(Doubling(source), out, RunOptions(workers=2), quiet())
    (source / 'c/2.txt').write_text('3')
    run_step(Doubling(source), out, HERE, quiet())
    assert len(Store(out).manifest()['c'].completed) == 3


def test_a_step_may_stay_in_the_main_process(source, out):
    console = quiet()
    step = Doubling(source)
    step.in_process = True
    run_step(step, out, RunOptions(workers=2), console)
    assert 'works in the main process' in console.file.getvalue()


def test_negative_workers_are_refused(source, out):
    with pytest.raises(StoreError, match='--workers -1'):
        run_step(Doubling(source), out, RunOptions(workers=-1), quiet())


def test_a_tool_that_makes_nothing_fails(tmp_path, out):
    """Exit status 1, so that a script stops."""
    source = tmp_path / 'bad'
    (source / 'a').mkdir(parents=True)
    (source / 'a' / '0.txt').write_text('bad')
    tool = RunOptions(workers=0, must_make=True)
    console = Console(file=io.StringIO())
    for _ in range(2):
        with pytest.raises(StoreError, match='skipped'):
            run_step(Doubling(source), out, tool, console)
    assert 'skipped a/0' in console.file.getvalue()
    assert run_tool(lambda _: run_step(Doubling(source), out, tool), None,
                    PREPARATION) == 1
    (source / 'a' / '0.txt').write_text('4')
    assert run_step(Doubling(source), out, tool).made == 1
    assert run_step(Doubling(source), out, tool).kept == 1


def test_a_shard_without_scans_is_no_error(source, out):
    console = Console(file=io.StringIO())
    report = run_step(
        Doubling(source), out, RunOptions(Shard(7, 9), workers=0), console)
    assert report.scans == 0 and 'no scans' in console.file.getvalue()
