"""tools/experiments/full_ladder.py: what fits, and the tiny form."""
import json

import pytest

from sam3d_plugin.experiments import full_ladder as module
from sam3d_plugin.experiments.arms import ARMS
from tests.tools.conftest import call


@pytest.mark.parametrize('name, expected', [
    ('random_sam', 5),
    ('stage1_sam_balanced', 5 + 30),
    ('paper_sam', 5 + 30 + 100),
    ('paper_sam_long', 2 * (5 + 30 + 100)),
])
def test_an_arm_takes_as_long_as_its_slowest_stages(name, expected):
    done = [dict(probe=4), dict(stage1=30, probe=5), dict(stage1=20, probe=3)]
    assert module.estimate(ARMS[name], done, 100) == expected


def test_the_schedule_leaves_out_what_does_not_fit(monkeypatch, capsys):
    now = [0.]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    names = ['random_sam', 'stage1_sam_balanced', 'random_knn']
    schedule = module.Schedule(names, (0, 1), 60)
    assert schedule.next() == ('random_sam', 0)
    schedule.done.append(dict(probe=5))
    assert schedule.next() == ('random_sam', 1)
    assert schedule.next() == ('stage1_sam_balanced', 0)
    schedule.done.append(dict(stage1=30, probe=5))
    now[0] = 45.
    # 35 s of the 15 that are left; the probe alone fits.
    assert schedule.next() == ('random_knn', 0)
    assert 'stage1_sam_balanced, seed 1 needs about 35 s' in (
        capsys.readouterr().out)
    now[0] = 58.
    assert schedule.next() is None


def test_tiny_form_end_to_end(tmp_path, run_here, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setattr(module, 'ARMS', ['random_sam', 'stage1_sam_balanced'])
    words = [
        '--tiny', '--minutes', '1000', '--seeds', '0', '--work-dir',
        tmp_path / 'work', '--json', tmp_path / 'full.json'
    ]
    call('experiments/full_ladder', words)
    prepared = [
        'make_synthrooms', 'generate_regions', 'extract_features',
        'build_groups'
    ]
    assert run_here == [*prepared, 'linear_probe', 'train', 'linear_probe']
    results = json.loads((tmp_path / 'full.json').read_text())
    assert list(results['arms']) == ['random_sam', 'stage1_sam_balanced']
    assert results['arms']['stage1_sam_balanced']['frames_seen'] == [8]
    assert results['budget']['name'] == 'mini' and results['machine']['cores']
    # Finished work costs nothing; too little time for anything says so.
    run_here.clear()
    call('experiments/full_ladder', words)
    assert not run_here
    (tmp_path / 'full.json').unlink()
    with pytest.raises(SystemExit, match='too short'):
        call('experiments/full_ladder', [*words, '--minutes', '0'])
