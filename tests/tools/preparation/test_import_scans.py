"""The command line: options arrive, and errors end in one sentence."""
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).parents[3] / 'tools/preparation/import_scans.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('import_scans_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path):
    """Two unlabelled rooms."""
    folder = tmp_path / 'scans'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'ab':
        np.savez(
            folder / f'{name}.npz',
            xyz=rng.uniform(0, (4, 3, 2.5), (100, 3)),
            rgb=rng.integers(0, 256, (100, 3)))
    return folder


def test_options_arrive(tool, source, tmp_path, capsys):
    (tmp_path / 'val.txt').write_text('b\n')
    out = tmp_path / 'data'
    arguments = [
        f'--source={source}', f'--out={out}', '--train', 'a', '--val-list',
        str(tmp_path / 'val.txt'), '--split', 'both=a,b', '--scale=0.5',
        '--up=-y', '--without-color', '--drop-invalid'
    ]
    assert tool.main(arguments) == 0
    text = capsys.readouterr().out
    assert 'both.pkl: 2 scan(s)' in text
    assert f'Next: python tools/predict.py {out}/points/' in text
    points = np.fromfile(out / 'points/a.bin', np.float32).reshape(-1, 6)
    xyz = np.load(source / 'a.npz')['xyz']
    assert np.allclose(points[:, 2], -0.5 * xyz[:, 1])
    assert tool.main(arguments) == 1
    assert tool.main([*arguments, '--overwrite']) == 0


@pytest.mark.parametrize('labels, config', [
    (dict(bbox=[[2, 1.5, 1, 2, 2, 2, 5]]), 'groupfree3d_scannet_mini_knn'),
    (dict(semantic=np.full(100, 3)), 'segmentor_scannet_mini_knn'),
])
def test_next_step_is_what_the_labels_allow(tool, source, tmp_path, capsys,
                                            labels, config):
    """Only one of the scans has regions, so tokens are those without."""
    arrays = dict(np.load(source / 'a.npz'), **labels)
    np.savez(source / 'a.npz', region=np.arange(100) // 20, **arrays)
    assert tool.main([f'--source={source}', f'--out={tmp_path}/data']) == 0
    assert f'configs/sam3d/{config}.py' in capsys.readouterr().out


@pytest.mark.parametrize('up', ['0,-1,0', '0,-2.5,0', '-y'])
def test_up_may_be_a_vector_along_an_axis(tool, source, tmp_path, up):
    out = tmp_path / 'data'
    assert tool.main([f'--source={source}', f'--out={out}', f'--up={up}']) == 0
    points = np.fromfile(out / 'points/a.bin', np.float32).reshape(-1, 6)
    xyz = np.load(source / 'a.npz')['xyz']
    assert np.allclose(points[:, :3], xyz[:, [0, 2, 1]] * [1, 1, -1])


@pytest.mark.parametrize('up', ['0,1,1', '0,0,0', 'nan,0,0', '1,0', 'up'])
def test_up_along_no_axis_is_refused(tool, source, tmp_path, capsys, up):
    with pytest.raises(SystemExit):
        tool.main([f'--source={source}', f'--out={tmp_path}', f'--up={up}'])
    assert 'z, -z, y, -y, x, -x' in capsys.readouterr().err


def test_errors_end_in_one_sentence(tool, source, tmp_path, capsys):
    out = tmp_path / 'data'
    assert tool.main([f'--source={source}', f'--out={out}', '--val=c']) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: split val names c')
    assert error.count('\n') == 1


def test_a_full_disk_is_named(tool, source, tmp_path, capsys, monkeypatch):

    def refuse(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr('os.fsync', refuse)
    out = tmp_path / 'data'
    assert tool.main([f'--source={source}', f'--out={out}']) == 1
    error = capsys.readouterr().err
    assert f'{out}' in error and 'no space left' in error
    assert not list(out.rglob('*.tmp'))


def test_no_scan_is_written_over_its_own_file(tool, source, tmp_path, capsys):
    data = tmp_path / 'data'
    assert tool.main([f'--source={source}', f'--out={data}', '--up=z']) == 0
    before = {p: p.read_bytes() for p in data.rglob('*') if p.is_file()}
    again = [f'--source={data}/points', f'--out={data}', '--overwrite']
    assert tool.main(again) == 1
    assert 'a.bin would be overwritten' in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in before}
