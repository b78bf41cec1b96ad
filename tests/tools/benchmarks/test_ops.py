"""The benchmark runs on small scenes and writes what the README reads."""
import json
import math
from types import SimpleNamespace

import pytest
import torch

from sam3d_plugin.experiments import result_tables
from tools.benchmark import main
from tools.benchmarks import measuring
from tools.benchmarks import ops as benchmark
from tools.benchmarks import ops_cases

OPS = {
    'furthest_point_sample', 'ball_query', 'knn', 'three_nn', 'gather_points',
    'grouping_operation', 'three_interpolate', 'points_in_boxes_all',
    'points_in_boxes_part'
}


def run(tmp_path, *arguments):
    file = tmp_path / 'folder' / 'result.json'
    main(['ops', '--quick', '--rounds', '1', '--json', str(file), *arguments])
    return json.loads(file.read_text())


def test_ops(tmp_path, capsys):
    result = run(tmp_path, '--only', 'ops')
    assert OPS <= set(result['ops'])
    assert {name.split()[0] for name in result['ops']} == OPS
    for entry in result['ops'].values():
        assert 0 < entry['ours_s'] < 60 and 0 < entry['torch_s'] < 60
        assert entry['ours_mb'] >= 0
        assert (entry['library'] is None) == (entry['library_s'] is None)
    assert {'cpu', 'cores', 'torch', 'threads',
            'commit'} <= set(result['machine'])
    table = capsys.readouterr().out
    assert all(entry['size'] in table for entry in result['ops'].values())
    assert '`knn` 1000' in result_tables.ops_table(result)


@pytest.mark.parametrize('part', ['detectors', 'tokenize'])
def test_other_parts(tmp_path, part):
    result = run(tmp_path, '--only', part)
    keys = dict(
        detectors={'votenet_40k_s', 'groupfree3d_50k_s', 'peak_memory_gb'},
        tokenize={'sam_s', 'knn_s'})[part]
    assert keys <= set(result[part])
    assert all(0 < value < 60 for value in result[part].values())


def test_a_part_is_measured_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(measuring.ROOT))
    args = SimpleNamespace(words=['ops', '--quick', '--rounds', '1'])
    part = measuring.measure_apart(args, 'tokenize')
    assert {'sam_s', 'knn_s'} <= set(part)
    assert all(0 < value < 60 for value in part.values())


def test_memory_of_one_call():
    size = 64 << 20
    added = measuring.added_bytes(lambda: torch.ones(size // 4), 'cpu')
    assert math.isclose(added, size, rel_tol=0.2)
    assert measuring.added_bytes(lambda: None, 'cpu') < size / 10


def test_plain_torch_gives_the_same():
    """What is compared must compute the same thing."""
    torch.manual_seed(0)
    for case in benchmark.build_cases('cpu', is_quick=True):
        ours, plain = case.ours(), case.torch()
        if case.name.startswith(('knn', 'three_nn')):
            continue  # other layouts, and distances by matrix products
        for one, other in zip(*(x if isinstance(x, tuple) else (x, )
                                for x in (ours, plain))):
            torch.testing.assert_close(
                one.to(other.dtype), other, msg=case.name)


def test_made_up_room():
    room = benchmark.sample_room(500, 'cpu')
    assert room['xyz'].shape == (1, 500, 3)
    assert room['regions'].shape == (1, 500) and room['regions'].min() == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
def test_cuda_without_a_gpu_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        run(tmp_path, '--device', 'cuda', '--only', 'ops')


def test_balls_of_plain_torch():
    points = torch.tensor([[[0., 0, 0], [.1, 0, 0], [5, 0, 0], [.2, 0, 0]]])
    found = ops_cases.torch_ball(.15, 3, points, points[:, :3])
    assert found.tolist() == [[[0, 1, 0], [0, 1, 3], [2, 2, 2]]]
