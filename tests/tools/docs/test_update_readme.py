"""README tables come from result files and are up to date."""
import json

import pytest

from sam3d_plugin.store.errors import RecordError
from tools.docs import update_readme

RUN = {
    'config': 'votenet_scannet_mini',
    'steps': 1500,
    'training': {
        'seconds': 1200,
        'cpu_s': 1080
    },
    'scores': {
        'trained_on': {
            'mAP_0.25': 0.9251,
            'mAP_0.50': 0.75
        },
        'rescan_knn': {
            'mAP_0.25': 0.5,
            'mAP_0.50': 0.25
        }
    },
    'hardware': {
        'device': 'cpu',
        'cores': 2,
        'torch': '2.11.0'
    }
}
OVERFIT = {'runs': {'votenet_scannet_mini': RUN}}
TEXT = 'before\n<!-- table: overfit -->\nold\n<!-- end -->\nafter\n'


def test_table_is_written_between_its_marks(tmp_path):
    (tmp_path / 'overfit.json').write_text(json.dumps(OVERFIT))
    text = update_readme.fill(TEXT, tmp_path)
    assert text.startswith('before\n') and text.endswith('\nafter\n')
    assert 'old' not in text
    assert '| 0.925 / 0.750 | 0.500 / 0.250 | – | 1500 | 20 (18) |' in text
    assert update_readme.fill(text, tmp_path) == text


def test_unknown_table_and_missing_result_are_errors(tmp_path):
    with pytest.raises(KeyError, match='rooms'):
        update_readme.fill(TEXT.replace('overfit', 'rooms'), tmp_path)
    with pytest.raises(FileNotFoundError):
        update_readme.fill(TEXT, tmp_path)


def test_a_table_may_read_a_folder(tmp_path):
    rows = {
        name:
        dict(
            arm=name,
            config='votenet',
            kind='fresh',
            encoders=[],
            trainings=3,
            scored_on={'val.pkl': 'ab'},
            scores={'mAP_0.25': dict(mean=score, std=None)},
            minutes=None,
            commit='c')
        for name, score in (('poor', 1.), ('good', 2.))
    }
    (tmp_path / 'board' / 'rooms').mkdir(parents=True)
    for name, row in rows.items():
        path = tmp_path / 'board' / 'rooms' / f'{name}.json'
        path.write_text(json.dumps(row))
    text = TEXT.replace('overfit', 'board')
    found = update_readme.fill(text, tmp_path)
    assert found.index('| good | `votenet` | fresh | 3 | 2.0 | – | c |') < (
        found.index('| poor |'))
    path.write_text(json.dumps(dict(row, scored_on={'val.pkl': 'cd'})))
    with pytest.raises(RecordError, match='poor.json'):
        update_readme.fill(text, tmp_path)
    path.write_text(json.dumps(dict(row, scores={'miou': dict(mean=1.)})))
    with pytest.raises(RecordError, match='no metric'):
        update_readme.fill(text, tmp_path)


@pytest.mark.parametrize('name', update_readme.DOCUMENTS)
def test_documents_are_up_to_date(name):
    text = (update_readme.ROOT / name).read_text()
    results = update_readme.ROOT / 'docs' / 'results'
    assert update_readme.fill(text, results) == text
