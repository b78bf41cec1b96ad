"""Splits of the scenes, and short lists of the train scenes.

A scene depends on the seed, its split and its number in it alone, so a set
with more scenes holds those of a smaller one. The first validation scenes are
apartments with all 18 classes, and so is every fifth after them.
"""
from typing import Dict, List, Tuple

import numpy as np

# Sets by name: train scenes, validation scenes, frames per scene.
PRESETS: Dict[str, Tuple[int, int, int]] = dict(
    quick=(8, 4, 8), mini=(60, 20, 12), full=(188, 62, 12))
# Percentages of the train scenes that lists are written for.
PERCENTAGES = (1, 5, 10, 20)
# Every class occurs in as many validation scenes at least.
CLASS_OCCURRENCES = 3

_APARTMENTS = 4
_APARTMENT_EVERY = 5


def split_sizes(num_scenes: int) -> Tuple[int, int]:
    """Train and validation scenes of so many.

    A quarter validates, but at least four where that leaves as many to train
    on, so that every class is there three times.
    """
    quarter = num_scenes // 4
    val = max(quarter, _APARTMENTS) if num_scenes >= 2 * _APARTMENTS else max(
        quarter, int(num_scenes > 1))
    return num_scenes - val, val


def scene_name(split: str, number: int) -> str:
    """Name of a scene: train scenes first, as in ``scene0007_00``."""
    return f'scene{number + 5000 * (split == "val"):04d}_00'


def scene_of(name: str) -> Tuple[str, int]:
    """Split and number of a scene's name."""
    number = int(name[len('scene'):-len('_00')])
    return ('val', number - 5000) if number >= 5000 else ('train', number)


def is_apartment(split: str, number: int) -> bool:
    """Whether a scene has to hold all 18 classes."""
    return split == 'val' and (number < _APARTMENTS
                               or number % _APARTMENT_EVERY == 0)


def scene_seed(seed: int, split: str, number: int) -> List[int]:
    """Entropy of a scene's generator."""
    return [seed, int(split == 'val'), number]


def make_lists(seed: int, num_train: int,
               num_val: int) -> Dict[str, List[str]]:
    """All lists of scenes: ``train``, ``val``, ``train_1`` ... ``train_20``.

    Sorted names; a shorter list, drawn by ``seed``, is part of a longer one,
    and none is empty if there are train scenes.
    """
    train = [scene_name('train', i) for i in range(num_train)]
    lists = dict(
        train=train, val=[scene_name('val', i) for i in range(num_val)])
    order = np.random.default_rng([seed, 2]).permutation(num_train)
    for percentage in PERCENTAGES:
        count = min(max(round(num_train * percentage / 100), 1), num_train)
        lists[f'train_{percentage}'] = sorted(train[i] for i in order[:count])
    return lists
