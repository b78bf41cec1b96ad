"""Libraries of optional extras: where they are looked for, what says so."""
import sys

import pytest

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.extras import import_extra


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where ``make setup`` puts the libraries of the extra 'games'."""
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    monkeypatch.setattr(sys, 'path', list(sys.path))
    (tmp_path / 'games').mkdir()
    return tmp_path / 'games'


def test_a_library_is_found_in_the_folder_of_its_extra(folder, monkeypatch):
    (folder / 'chess_of_games.py').write_text('squares = 64')
    # What is installed twice comes from beside the others.
    (folder / 'json.py').write_text('is_wrong = True')
    assert import_extra('chess_of_games', 'games').squares == 64
    monkeypatch.delitem(sys.modules, 'chess_of_games')
    assert not hasattr(import_extra('json', 'games'), 'is_wrong')
    assert sys.path.count(str(folder)) == 1


def test_a_missing_library_names_its_extra(folder):
    with pytest.raises(StoreError, match=r"install -e '.\[games\]'"):
        import_extra('no_such_library', 'games')
