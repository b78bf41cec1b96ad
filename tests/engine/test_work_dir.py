"""Tests of the work directory's lock and of unwritable directories."""
import errno
import fcntl
import multiprocessing
import os
import time

import pytest

from sam3d_plugin.engine.work_dir import global_rank, locked_work_dir
from sam3d_plugin.store.errors import StoreError, explain_os_error


def _hold(path, ready):
    with locked_work_dir(path):
        ready.send(True)
        time.sleep(60)


@pytest.fixture
def other_run(tmp_path):
    """Another process that uses ``tmp_path`` as its work directory."""
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()
    process = context.Process(target=_hold, args=(tmp_path, there))
    process.start()
    assert here.poll(20)
    yield process
    process.kill()
    process.join()


def test_second_run_ends_in_a_sentence(tmp_path, other_run):
    with pytest.raises(StoreError) as error:
        with locked_work_dir(tmp_path):
            pass
    assert f'process {other_run.pid}' in str(error.value)
    assert '--work-dir' in str(error.value)


def test_killed_run_leaves_no_lock(tmp_path, other_run):
    other_run.kill()
    other_run.join()
    with locked_work_dir(tmp_path):
        pass


def test_only_the_first_process_locks(tmp_path, other_run, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    assert global_rank() == 1
    with locked_work_dir(tmp_path):
        pass


def test_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file/work'):
        with locked_work_dir(tmp_path / 'file' / 'work'):
            pass


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EROFS])
def test_full_or_read_only_disk_is_named(tmp_path, monkeypatch, number):

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'open', refuse)
    with pytest.raises(OSError) as error:
        with locked_work_dir(tmp_path):
            pass
    assert error.value.errno == number
    assert explain_os_error(error.value).startswith(str(tmp_path))


def test_file_system_without_locks_warns(tmp_path, monkeypatch, caplog):

    def refuse(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with locked_work_dir(tmp_path), locked_work_dir(tmp_path):
        pass


def test_lock_is_not_kept_by_a_child_that_outlives_it(tmp_path):
    """As of data loading workers, which are forked."""
    with locked_work_dir(tmp_path):
        child = multiprocessing.get_context('fork').Process(
            target=time.sleep, args=(60, ))
        child.start()
    try:
        with locked_work_dir(tmp_path):
            pass
    finally:
        child.kill()
        child.join()


def test_a_lock_is_taken_again_in_the_same_process(tmp_path):
    for _ in range(2):
        with locked_work_dir(tmp_path):
            pass
    with locked_work_dir(tmp_path), pytest.raises(StoreError):
        with locked_work_dir(tmp_path):
            pass
