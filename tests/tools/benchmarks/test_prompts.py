"""The measurement of object-aware prompts, on a small room of rectangles."""
import json

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.store.errors import StoreError
from tools.benchmark import main
from tools.benchmarks.mask_oracle import MaskOracle, group_of
from tools.benchmarks.prompts import SHARES, recall


def write_room(folder):
    """A table with two things on it, and a box beside it."""
    ids = np.zeros((96, 128), np.uint16)
    ids[30:80, 10:70] = 1
    ids[35:45, 20:34] = 2
    ids[40:46, 50:58] = 3
    ids[20:60, 90:120] = 4
    for name in ('frame_instances', 'posed_images'):
        (folder / name / 'a').mkdir(parents=True)
    Image.fromarray(ids).save(folder / 'frame_instances/a/00000.png')
    color = np.repeat(ids[..., None] * 50, 3, 2).astype(np.uint8)
    Image.fromarray(color).save(folder / 'posed_images/a/00000.jpg')
    return ids


def test_prompts_are_saved_and_recall_is_counted(tmp_path):
    write_room(tmp_path)
    file = tmp_path / 'result.json'
    main(['prompts', '--quick', '--data', str(tmp_path), '--json', str(file)])
    result = json.loads(file.read_text())['prompts']
    assert result['model'] == 'oracle'
    by_share = {row['skip_covered']: row for row in result['shares']}
    everywhere, last = by_share[0.0], by_share[SHARES[-1]]
    assert everywhere['prompts'] == 256
    assert everywhere['recall_of_masks'] == 1
    assert everywhere['recall_of_objects'] == 1
    prompts = [by_share[share]['prompts'] for share in SHARES]
    assert prompts == sorted(prompts, reverse=True)
    # Things on a table are lost once the table's group is found.
    assert last['prompts'] < 200
    assert last['recall_of_masks'] < 1
    assert by_share[.02]['recall_of_objects'] == 1


def test_groups_hold_what_lies_in_the_box(tmp_path):
    import torch
    ids = torch.from_numpy(write_room(tmp_path).astype(np.int64))
    assert group_of(ids, 1).equal((ids > 0) & (ids < 4))
    assert group_of(ids, 2).equal(ids == 2)
    encoded, = MaskOracle([ids.numpy()], side=64).encode([None])
    assert encoded.shape == (16, 16)


def test_recall_is_the_share_of_fitting_masks():
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :2], masks[1, 2:], masks[2, 0, 0] = True, True, True
    assert recall(masks, masks) == 1
    assert recall(masks, masks[:1]) == pytest.approx(1 / 3)
    assert recall(masks, masks[:0]) == 0
    assert np.isnan(recall(masks[:0], masks))


def test_sets_without_true_objects_are_refused(tmp_path):
    with pytest.raises(StoreError, match='make_synthrooms'):
        main(['prompts', '--data', str(tmp_path)])
