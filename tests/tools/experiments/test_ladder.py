"""tools/experiments/ladder.py: a tiny ladder, resumed and made anew."""
import json
import shutil

import numpy as np
import pytest

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import ladder
from sam3d_plugin.store.errors import UserError
from tests.datasets import frame_store
from tests.evaluation.labelled_store import write_labels
from tests.short_runs import forget_runs
from tests.tools.conftest import call, load_tool

SMALL = [
    'train_dataloader.batch_size=2',
    'train_dataloader.dataset.ann_file=splits/train.txt',
    'train_dataloader.dataset.pipeline.0.num_points=300',
    'default_hooks.checkpoint.interval=1', 'custom_hooks=[]'
]
STAGE1 = 'configs/sam3d/stage1_synthrooms_mini.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Frames with classes, and features as wide as the config's."""
    root = tmp_path_factory.mktemp('rooms')
    channels = read_config(str(ladder.ROOT / STAGE1), {}).model.head
    channels = channels.out_channels
    frame_store.write_frames(root)
    frame_store.write_region_maps(root)
    frame_store.write_region_features(
        root, change=lambda s, f, mean: np.resize(mean, (len(mean), channels)))
    frame_store.write_region_groups(root, channels=channels)
    write_labels(root)
    (root / 'splits').mkdir()
    (root / 'splits' / 'train.txt').write_text('alpha\n')
    (root / 'splits' / 'val.txt').write_text('beta\n')
    return root


class Commands:
    """Runs the tools in this process, which saves starting Python."""

    def __init__(self):
        self.done = []
        self.stop_at = None

    def __call__(self, command, environment, **options):
        assert command[0] == 'python'
        self.done.append(command[1:])
        if self.stop_at == len(self.done):
            raise KeyboardInterrupt
        forget_runs()
        name = command[1].removeprefix('tools/').removesuffix('.py')
        tool = load_tool(name)
        return run_tool(tool.main, tool.parse_args(command[2:])), None

    @property
    def names(self):
        return [command[0].split('/')[-1] for command in self.done]


@pytest.fixture
def commands(monkeypatch):
    commands = Commands()
    monkeypatch.chdir(ladder.ROOT)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(ladder.steps, 'run_command', commands)
    return commands


def climb(root, work, *arms, seeds=(0, ), length=4, small=SMALL, more=()):
    call('experiments/ladder', [
        *more, '--data-root',
        str(root), '--work-dir',
        str(work), '--json',
        str(work / 'ladder.json'), '--length',
        str(length), '--probe-points', '300', '--device', 'cpu', '--arms',
        *arms, '--seeds', *map(str, seeds), '--cfg-options', *small
    ])
    return json.loads((work / 'ladder.json').read_text())


def test_two_arms_end_to_end(root, tmp_path, commands, capsys):
    results = climb(root, tmp_path, 'random_sam', 'paper_sam')
    assert commands.names == [
        'linear_probe.py', 'train.py', 'train.py', 'linear_probe.py'
    ]
    assert set(results) == {
        'arms', 'comparisons', 'data', 'machine', 'budget', 'missing'
    }
    full = results['arms']['paper_sam']
    assert full['frames_seen'] == [8]
    assert set(full['stage_seconds'][0]) == {'stage1', 'stage2', 'probe'}
    assert full['seconds'][0] == pytest.approx(
        sum(full['stage_seconds'][0].values()))
    for key in ('miou', 'macc', 'miou_three_nn', 'macc_three_nn'):
        assert 0 < full[key][0] <= 1
    assert results['missing'] == [] and results['comparisons'] == []
    assert results['data']['frames'] == dict(train=3, val=3)
    printed = capsys.readouterr().out
    assert '$ python tools/train.py configs/sam3d/stage2_synthrooms_m' in (
        printed)
    assert 'teacher=' in printed and 'paper_sam' in printed

    # Nothing is run again, and other arms and seeds are added.
    commands.done.clear()
    more = climb(root, tmp_path, 'random_sam', 'random_knn', seeds=(0, 1))
    assert commands.names == ['linear_probe.py'] * 3
    assert more['arms']['paper_sam'] == full
    assert more['arms']['random_sam']['seeds'] == [0, 1]
    assert more['comparisons'] == []


def test_results_of_another_machine_stay_if_nothing_differs(
        root, tmp_path, commands):
    before = climb(root, tmp_path / 'there', 'random_sam', 'random_knn')
    here = tmp_path / 'here'
    here.mkdir()
    known = here / 'ladder.json'
    shutil.copy(tmp_path / 'there/ladder.json', known)
    after = climb(root, here, 'random_sam', seeds=(1, ))
    assert after['arms']['random_knn'] == before['arms']['random_knn']
    assert after['arms']['random_sam']['seeds'] == [0, 1]
    assert after['missing'] == []
    # A result of other data does not.
    after['arms']['random_knn']['hash'] = ['0123456789abcdef']
    known.write_text(json.dumps(after))
    again = climb(root, here, 'random_sam', seeds=(1, ))
    assert list(again['arms']) == ['random_sam']


def test_arms_that_begin_alike_share_the_training(root, tmp_path, commands):
    """Stage 1 at half length serves both; at full length, the other arms."""
    results = climb(root, tmp_path, 'stage1_sam_balanced', 'paper_sam_long')
    assert commands.names == [
        'train.py', 'linear_probe.py', 'train.py', 'linear_probe.py'
    ]
    stage1, long = (
        results['arms'][name]
        for name in ('stage1_sam_balanced', 'paper_sam_long'))
    assert stage1['stage_seconds'][0]['stage1'] == long['stage_seconds'][0][
        'stage1']
    assert (stage1['frames_seen'], long['frames_seen']) == ([8], [16])
    found, = results['comparisons']
    assert (found['arm'], found['baseline']) == ('paper_sam_long',
                                                 'stage1_sam_balanced')
    checkpoint = json.loads((tmp_path / 'stage1_sam_balanced' / 'seed_0' /
                             'result.json').read_text())['checkpoint']
    assert f'teacher={tmp_path / checkpoint}' in commands.done[2]
    commands.done.clear()
    climb(root, tmp_path, 'paper_sam', 'stage1_sam_plain')
    assert commands.names.count('train.py') == 3


def test_held_out_scenes_are_train_scenes(root, tmp_path, commands,
                                          monkeypatch):
    rooms = shutil.copytree(root, tmp_path / 'rooms')
    (rooms / 'splits' / 'train.txt').write_text('alpha\nbeta\n')
    (rooms / 'splits' / 'val.txt').write_text('unread\n')
    small = [option for option in SMALL if 'ann_file' not in option]
    work = tmp_path / 'work'
    arms = ('stage1_sam_balanced', )
    with pytest.raises(UserError, match='--held-out'):
        climb(rooms, work, *arms, small=small, more=['--held-out'])
    assert not commands.done
    monkeypatch.setattr(ladder, 'HELD_OUT', 2)
    results = climb(rooms, work, *arms, small=small, more=['--held-out'])
    assert results['budget']['held_out'] == 2
    assert (work / 'train_scenes.txt').read_text() == 'alpha\n'
    assert (work / 'val_scenes.txt').read_text() == 'beta\n'
    assert results['data']['frames'] == dict(train=3, val=3)
    assert f'{ladder.ANN_FILE}={work}/train_scenes.txt' in commands.done[0]


def test_trainings_of_other_data_are_kept_and_taken_back(
        root, tmp_path, commands):
    rooms = shutil.copytree(root, tmp_path / 'rooms')
    work = tmp_path / 'work'
    before = climb(rooms, work, 'random_sam', 'stage1_sam_balanced')
    manifest = rooms / 'region_groups' / 'train' / 'manifest.json'
    manifest.write_text(manifest.read_text() + '\n')
    commands.done.clear()
    after = climb(rooms, work, 'random_sam')
    assert commands.names == ['linear_probe.py']
    assert after['missing'] == ['stage1_sam_balanced seed 0']
    assert 'stage1_sam_balanced' in before[
        'arms'] and 'stage1_sam_balanced' not in after['arms']
    again = climb(
        rooms,
        work,
        'stage1_sam_balanced',
        small=[*SMALL, 'experiment_name=again'])
    assert commands.names[1:] == ['train.py', 'linear_probe.py']
    assert again['arms']['stage1_sam_balanced']['was_resumed'] == [False]
    assert len(list(work.glob('trainings/stage1_*/iter_4.pth'))) == 2
    manifest.write_text(manifest.read_text()[:-1])
    commands.done.clear()
    back = climb(rooms, work, 'random_sam', 'stage1_sam_balanced')
    assert not commands.done and back['arms'] == before['arms']
    assert len(list(work.glob('*/*/result.json'))) == 4


def test_a_broken_off_arm_goes_on(root, tmp_path, commands):
    """Stopped in stage 2: stage 1 is not repeated."""
    commands.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        climb(root, tmp_path, 'paper_sam')
    assert not (tmp_path / 'ladder.json').exists()
    commands.stop_at = None
    commands.done.clear()
    results = climb(root, tmp_path, 'paper_sam')
    assert commands.names == ['train.py', 'linear_probe.py']
    assert 'stage2' in commands.done[0][1]
    assert results['arms']['paper_sam']['frames_seen'] == [8]
    assert results['arms']['paper_sam']['was_resumed'] == [False]


def test_a_half_trained_step_is_resumed(root, tmp_path, commands):
    climb(root, tmp_path, 'stage1_sam_balanced')
    result = tmp_path / 'stage1_sam_balanced' / 'seed_0' / 'result.json'
    checkpoint = json.loads(result.read_text())['checkpoint']
    folder = (tmp_path / checkpoint).parent
    for path in (folder / 'iter_4.pth', folder / 'seconds.json', result):
        path.unlink()
    commands.done.clear()
    results = climb(root, tmp_path, 'stage1_sam_balanced')
    assert commands.names == ['train.py', 'linear_probe.py']
    log = sorted(folder.glob('*/*.log'))[-1].read_text()
    assert 'iter_3.pth' in log or 'iter: 3' in log
    assert results['arms']['stage1_sam_balanced']['was_resumed'] == [True]


def test_folders_of_others_are_left_alone(root, tmp_path):
    folder = tmp_path / 'random_sam' / 'seed_0'
    folder.mkdir(parents=True)
    (folder / 'thesis.txt').write_text('mine')
    with pytest.raises(SystemExit, match='something else'):
        climb(root, tmp_path, 'random_sam')
    assert (folder / 'thesis.txt').exists()


def test_a_failed_command_is_shown(tmp_path, capsys):
    command = ['python', '-c', 'raise SystemExit("no such room")']
    with pytest.raises(SystemExit, match='status 1'):
        ladder.execute(command, tmp_path / 'probe.log', 'cpu')
    assert 'no such room' in capsys.readouterr().out
