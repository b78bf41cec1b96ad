"""What results depend on."""
import subprocess

from sam3d_plugin.store import provenance


def test_settings_count_and_their_place_does_not():
    first = dict(model=dict(depth=1), data='rooms/a/points', log='x')

    def digest(root='rooms/a', **changes):
        return provenance.settings_digest({
            **first,
            **changes
        }, ('model', 'data'), [root])

    moved = digest('/disk/b', data='/disk/b/points')
    assert digest() == digest(log='y') == moved
    assert digest(model=dict(depth=2)) != digest()
    assert len(digest()) == 16


def test_files_that_are_missing_have_no_digest(tmp_path):
    (tmp_path / 'a').write_bytes(b'1')
    found = provenance.file_digests(tmp_path, ['a', 'b'])
    assert found == dict(a=provenance.digest(b'1'), b=None)


def test_machine_names_commit_and_hardware(monkeypatch):
    monkeypatch.setattr(
        subprocess, 'run',
        lambda *_, **__: subprocess.CompletedProcess([], 0, '', ''))
    machine = provenance.machine('cpu', threads=1)
    assert machine['commit'] == 'unknown' and machine['device'] == 'cpu'
    assert machine['threads'] == 1 and machine['cpu'] and machine['cores']
