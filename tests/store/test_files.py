"""Whole files through mmengine.fileio."""
import threading

import pytest
from mmengine import fileio

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import (exists, is_local, join, list_names,
                                      read_bytes, remove, size_of, write_bytes,
                                      write_new)


class Bucket(fileio.BaseStorageBackend):
    """An object store in memory."""
    objects = {}

    def get(self, filepath):
        try:
            return self.objects[filepath]
        except KeyError:
            raise FileNotFoundError(filepath) from None

    def get_text(self, filepath):
        return self.get(filepath).decode()

    def put(self, obj, filepath):
        self.objects[filepath] = obj

    def exists(self, filepath):
        return any(name == filepath or name.startswith(f'{filepath}/')
                   for name in self.objects)

    def remove(self, filepath):
        del self.objects[filepath]

    def list_dir_or_file(self, dir_path, list_dir, list_file, suffix,
                         recursive):
        rest = [
            name[len(dir_path) + 1:] for name in self.objects
            if name.startswith(f'{dir_path}/')
        ]
        heads = {name.split('/')[0] for name in rest}
        files = {name for name in rest if '/' not in name}
        names = heads - files if list_dir else files
        yield from (n for n in names if suffix is None or n.endswith(suffix))


@pytest.fixture(scope='module', autouse=True)
def bucket_backend():
    fileio.register_backend('bucket', Bucket, force=True)


@pytest.fixture(params=['local', 'bucket'])
def place(request, tmp_path):
    Bucket.objects.clear()
    if request.param == 'local':
        return str(tmp_path), None
    return 'bucket-of-mine', dict(backend='bucket')


def test_files_are_written_and_listed(place):
    root, args = place
    assert is_local(root, args) == (args is None)
    write_bytes(join(root, 'x', 'a.png'), b'123', args)
    write_bytes(join(root, 'x', 'b.txt'), b'', args)
    write_bytes(join(root, 'x', '.hidden'), b'', args)
    assert read_bytes(join(root, 'x', 'a.png'), args) == b'123'
    assert list_names(join(root, 'x'), args) == ['a.png', 'b.txt']
    assert list_names(join(root, 'x'), args, '.png') == ['a.png']
    assert list_names(root, args, folders=True) == ['x']
    assert list_names(join(root, 'nowhere'), args) == []
    assert size_of(join(root, 'x', 'a.png'), args) == 3
    assert size_of(join(root, 'x', 'c.png'), args) == -1


def test_removing_is_idempotent(place):
    root, args = place
    write_bytes(join(root, 'a'), b'1', args)
    for _ in range(2):
        remove(join(root, 'a'), args)
    assert not exists(join(root, 'a'), args)
    with pytest.raises(FileNotFoundError):
        read_bytes(join(root, 'a'), args)


def test_a_new_file_is_written_once(place):
    root, args = place
    assert write_new(join(root, 'a'), b'1', args)
    assert not write_new(join(root, 'a'), b'2', args)
    assert read_bytes(join(root, 'a'), args) == b'1'
    assert list_names(root, args) == ['a']


def test_one_of_many_threads_writes_a_new_file(tmp_path):
    wins = []

    def work(i):
        if write_new(tmp_path / 'a', str(i).encode()):
            wins.append(str(i).encode())

    threads = [threading.Thread(target=work, args=(i, )) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / 'a').read_bytes()] == wins


@pytest.mark.parametrize('path', ['foo://bucket/x', 's3://bucket/x'])
def test_a_missing_backend_is_named(path):
    for function in (exists, is_local, size_of, list_names):
        with pytest.raises(StoreError, match=f'{path}: there is no file back'):
            function(path)
