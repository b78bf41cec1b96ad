"""Several probes in one file and one table."""
import json

from sam3d_plugin.experiments import probes


def make_probe(miou):
    scores = dict(miou=miou, macc=.5, classes={})
    return dict(
        own=scores,
        three_nn=dict(scores, miou=miou / 2),
        frames=dict(train=3, val=2),
        tokens_per_frame=dict(train=9., val=8.4),
        settings=dict(l2=1e-4),
        encoder=dict(method='M', tokenizer=dict(type='T')))


def test_probes_stand_side_by_side(tmp_path):
    out = tmp_path / 'new' / 'all.json'
    for name, miou in (('a = 1', .1), ('b', .5), ('a = 1', .25)):
        probes.add_probe(out, name, make_probe(miou))
    results = json.loads(out.read_text())
    assert list(results['probes']) == ['a = 1', 'b']
    assert results['probes']['b']['three_nn'] == dict(miou=.25, macc=.5)
    assert '| a = 1 | 8 | 25.0 | 12.5 |' in probes.probes_table(results)
