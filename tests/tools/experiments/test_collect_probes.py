"""tools/experiments/collect_probes.py on hand-made probes."""
import json

import pytest

from tests.tools.conftest import load_tool


def write_probe(path, miou):
    scores = dict(miou=miou, macc=.5, classes={})
    path.write_text(
        json.dumps(
            dict(
                own=scores,
                three_nn=dict(scores, miou=miou / 2),
                frames=dict(train=3, val=2),
                tokens_per_frame=dict(train=9., val=8.4),
                settings=dict(l2=1e-4),
                encoder=dict(method='M', tokenizer=dict(type='T')))))
    return path


def test_probes_stand_side_by_side(tmp_path, capsys):
    tool = load_tool('experiments/collect_probes')
    one = write_probe(tmp_path / 'one.json', .25)
    two = write_probe(tmp_path / 'two.json', .5)
    out = tmp_path / 'all.json'
    assert tool.main(
        tool.parse_args([f'a = 1={one}', f'b={two}', '--json',
                         str(out)])) == 0
    assert '0.2500' in capsys.readouterr().out
    results = json.loads(out.read_text())
    assert list(results['probes']) == ['a = 1', 'b']
    assert results['probes']['b']['three_nn'] == dict(miou=.25, macc=.5)
    assert '| a = 1 | 8 | 25.0 | 12.5 |' in tool.probes_table(results)
    with pytest.raises(SystemExit, match='NAME=FILE'):
        tool.main(tool.parse_args([str(one), '--json', str(out)]))
    with pytest.raises(SystemExit, match='two probes are called a'):
        tool.main(tool.parse_args([f'a={one}'] * 2 + ['--json', str(out)]))
