"""The lists in configs/few_labels are those that the rule gives."""
import re
from pathlib import Path

import pytest

from sam3d_plugin.preparation.sources.scans.few_labels import choose_scans

FOLDER = Path(__file__).parents[1] / 'configs' / 'few_labels'
SCANS, FRAMES = 1201, 5285


def read(name, percentage):
    return (FOLDER / f'{name}_{percentage}.txt').read_text().split()


@pytest.mark.parametrize('percentage', [1, 5, 10, 20])
def test_scannet_lists_follow_the_order_of_the_rule(percentage):
    longest = read('scannetv2_train', 20)
    assert len(longest) == len(set(longest)) == round(SCANS * .2)
    assert all(re.fullmatch(r'scene0[0-7]\d\d_0\d', scan) for scan in longest)
    found = read('scannetv2_train', percentage)
    assert len(found) == round(SCANS * percentage / 100)
    share = 100 * len(found) / len(longest)
    assert found == choose_scans(longest, share, 0)


@pytest.mark.parametrize('percentage', [1, 5, 10, 20])
def test_sunrgbd_lists_are_of_its_training_frames(percentage):
    frames = [f'{i:06d}' for i in range(5051, 5051 + FRAMES)]
    found = read('sunrgbd_train', percentage)
    assert found == choose_scans(frames, percentage, 0)
