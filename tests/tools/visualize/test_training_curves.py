"""tools/visualize/training_curves.py on logs of made-up trainings."""
import json

import numpy as np
import pytest
from PIL import Image

from tests.tools.conftest import call


def run(words):
    call('visualize/training_curves', words)


def write_training(folder, name='votenet', seed=0, losses=(4.0, 2.0)):
    """A work directory as a training leaves it."""
    logs = folder / '2026' / 'vis_data'
    logs.mkdir(parents=True)
    rows = [
        dict(step=5 * i, loss=loss, time=0.5, data_time=0.1)
        for i, loss in enumerate(losses, 1)
    ]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    (folder / f'{name}.py').write_text(f'randomness = dict(seed={seed})\n')
    return str(folder)


def test_seeds_of_an_arm_are_kept_and_drawn_beside(tmp_path):
    seeds = [write_training(tmp_path / f'{i}', seed=i) for i in (0, 1)]
    kept = tmp_path / 'curves' / 'votenet.json'
    run([*seeds, '--arm', 'fresh', '--keep', str(kept)])
    reference = json.loads(kept.read_text())
    assert (reference['config'], reference['arm']) == ('votenet', 'fresh')
    assert [run['seed'] for run in reference['runs']] == [0, 1]
    assert reference['runs'][1]['steps'] == [5, 10]
    assert reference['runs'][1]['loss'] == [4.0, 2.0]
    assert reference['runs'][0]['step_s'] == 0.5

    mine = write_training(tmp_path / 'mine', losses=(9.0, 7.0))
    for option in ('--keep', '--out'):
        with pytest.raises(ValueError, match='would be overwritten'):
            run([mine, '--reference', str(kept), option, str(kept)])
        assert json.loads(kept.read_text()) == reference
    picture = tmp_path / 'pictures' / 'mine.png'
    run([mine, '--reference', str(kept), '--out', str(picture)])
    both = np.array(Image.open(picture))
    run([mine, '--out', str(picture)])
    alone = np.array(Image.open(picture))
    assert both.shape == alone.shape, 'one panel for one configuration'
    assert (both != alone).any()


def test_trainings_of_two_configurations_are_no_reference(tmp_path):
    folders = [
        write_training(tmp_path / name, name) for name in ('votenet', 'other')
    ]
    with pytest.raises(SystemExit, match="not \\['other', 'votenet'\\]"):
        run([*folders, '--keep', str(tmp_path / 'a.json')])
    assert not (tmp_path / 'a.json').exists()


def test_what_is_no_training_is_named(tmp_path):
    out = ['--out', str(tmp_path / 'a.png')]
    with pytest.raises(SystemExit, match='holds 0 configurations'):
        run([str(tmp_path), *out])
    (tmp_path / 'results.json').write_text('{"runs": []}')
    with pytest.raises(SystemExit, match='not a reference that --keep wrote'):
        run(['--reference', str(tmp_path / 'results.json'), *out])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['--out', 'a.png'], 'name a WORK_DIR'), (['a'], 'name a file'),
     (['--reference', 'a', '--keep', 'b'], 'needs the WORK_DIR')])
def test_command_lines_that_do_nothing(capsys, arguments, message):
    with pytest.raises(SystemExit):
        run(arguments)
    assert message in capsys.readouterr().err
