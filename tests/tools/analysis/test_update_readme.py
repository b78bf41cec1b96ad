"""README tables come from result files and are up to date."""
import json

import pytest

from tools.analysis import update_readme

ROOM = {
    'arms': {
        'knn': {
            'training_s': 1200,
            'val': {
                'ap25': 0.9251,
                'ap50': 0.75
            },
            'rescan': {
                'ap25': 0.5,
                'ap50': 0.25
            }
        }
    },
    'machine': {
        'cores': 2
    }
}
TEXT = 'before\n<!-- table: room -->\nold\n<!-- end -->\nafter\n'


def test_table_is_written_between_its_marks(tmp_path):
    (tmp_path / 'overfit_room.json').write_text(json.dumps(ROOM))
    text = update_readme.fill(TEXT, tmp_path)
    assert text.startswith('before\n') and text.endswith('\nafter\n')
    assert 'old' not in text
    assert '(trained on) | 0.925 | 0.750 | 20 min |' in text
    assert '(rescan) | 0.500 | 0.250 |' in text
    assert update_readme.fill(text, tmp_path) == text


def test_unknown_table_and_missing_result_are_errors(tmp_path):
    with pytest.raises(KeyError, match='no table is called rooms'):
        update_readme.fill(TEXT.replace('room', 'rooms'), tmp_path)
    with pytest.raises(FileNotFoundError):
        update_readme.fill(TEXT, tmp_path)


@pytest.mark.parametrize('name', update_readme.DOCUMENTS)
def test_documents_are_up_to_date(name):
    text = (update_readme.ROOT / name).read_text()
    results = update_readme.ROOT / 'docs' / 'results'
    assert update_readme.fill(text, results) == text
