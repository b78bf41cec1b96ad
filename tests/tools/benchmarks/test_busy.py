"""The benchmark of waiting threads: its step, its processes, its table."""
import io
import json

from sam3d_plugin.experiments import result_tables
from tools.benchmark import main
from tools.benchmarks import busy as benchmark

# Stands in for the training, whose start takes long: its time is that of the
# setting that the process was given.
ANSWER = """import os, sys
for line in sys.stdin:
    found = [os.environ.get(name)
             for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')]
    assert 'OMP_NUM_THREADS' not in os.environ
    print('a line of a library')
    seconds = {None: 2., 'PASSIVE': .5}[found[0]] * (1 - .5 * bool(found[1]))
    print('seconds', int(line) * seconds, flush=True)
"""


def test_steps_are_trained_on_request(monkeypatch, capsys):
    monkeypatch.setattr('sys.stdin', io.StringIO('1\n2\n'))
    monkeypatch.setattr(benchmark, 'POINTS', 300)
    benchmark.serve()
    answers = [
        line for line in capsys.readouterr().out.splitlines()
        if line.startswith('seconds ')
    ]
    assert len(answers) == 2
    assert all(float(answer.split()[1]) > 0 for answer in answers)


def test_each_policy_has_its_process(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, 'SERVE', ANSWER)
    monkeypatch.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    monkeypatch.setenv('GOMP_SPINCOUNT', '7')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    file = tmp_path / 'folder' / 'result.json'
    main(
        ['busy', '--rounds', '2', '--spinning', '0', '1', '--json',
         str(file)])
    result = json.loads(file.read_text())
    assert [row['spinning'] for row in result['rows']] == [0, 1]
    for row in result['rows']:
        assert row['default']['median_s'] == 2
        assert row['passive']['largest_s'] == .5
        assert row['ours']['largest_s'] == .25
    assert result['machine']['commit']
    text = result_tables.busy_table(result)
    assert ('| 1 | 2.00 (2.00 to 2.00) | 0.50 (0.50 to 0.50) | '
            '0.25 (0.25 to 0.25) |') in text
