"""Class indices that look like NYU40 ids."""
import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 prepare_scan)
from sam3d_plugin.preparation.sources.scans.scan import SEGMENTATION_IDS


@pytest.fixture
def notes_of(tmp_path, room):

    def call(semantic):
        path = tmp_path / 'a.npz'
        np.savez(path, **dict(room, semantic=semantic))
        return ' '.join(
            prepare_scan(path, ImportOptions(tmp_path, tmp_path)).notes)

    return call


def test_nyu40_ids_raise_no_doubt(notes_of, room):
    assert 'indices' not in notes_of(room['semantic'])


@pytest.mark.parametrize('none', [-1, -100, 255])
def test_indices_of_scannet20(notes_of, room, none):
    indices = np.searchsorted(SEGMENTATION_IDS, room['semantic'])
    assert 'id 1 is flat' in notes_of(indices)
    indices[:5] = none
    assert 'class indices: map them' in notes_of(indices)


def test_indices_from_1_without_a_floor(notes_of, room):
    """Chair 3, table 5 of the 18 classes of boxes; the rest is 0."""
    indices = np.array([0, 0, 0, 0, 0, 3, 0, 5])[room['semantic']]
    assert 'read as NYU40 ids (3 cabinet, 5 chair)' in notes_of(indices)


def test_indices_of_s3dis(notes_of, room):
    """Ceiling 0, floor 1, wall 2, table 7, chair 8."""
    indices = np.array([0, 2, 1, 0, 0, 8, 0, 7])[room['semantic']]
    assert 'id 1 is flat' in notes_of(indices)
