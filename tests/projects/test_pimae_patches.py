"""Patches of PiMAE: which are kept, and what their pixels and points say."""
import numpy as np
import pytest
import torch

from projects.pimae.branches import (choose_patches, grid_positions, patchify,
                                     unpatchify)
from projects.pimae.heads import FrameImages, sample_patches
from tests.projects.test_pimae import GRID, SIDE, SIZE


def test_patches_and_images():
    images = torch.randn(2, 3, *SIZE)
    patches = patchify(images, SIDE)
    assert patches.shape == (2, 30, 48)
    assert torch.equal(unpatchify(patches, GRID), images)
    # The second of the second row
    expected = images[1, :, 4:8, 4:8].flatten()
    assert torch.equal(patches[1, 7], expected)


def test_positions_differ_and_tell_row_and_column():
    positions = grid_positions(torch.zeros(1, 32), GRID)
    assert positions.shape == (30, 32)
    assert torch.pdist(positions).min() > .1
    grid = positions.unflatten(0, GRID)
    assert torch.equal(grid[0, :, :16], grid[3, :, :16])
    assert torch.equal(grid[:, 0, 16:], grid[:, 4, 16:])


@pytest.mark.parametrize('num_avoided', [0, 7, 18, 25, 30])
def test_avoided_patches_come_last(num_avoided):
    is_avoided = torch.zeros(3, 30, dtype=torch.bool)
    is_avoided[:, :num_avoided] = True
    generators = [np.random.default_rng(i) for i in range(3)]
    kept = choose_patches(is_avoided, .6, generators)
    assert kept.shape == (3, 12)  # ceil(.4 * 30)
    for row in kept:
        assert len(set(row.tolist())) == 12 and (row.diff() > 0).all()
    avoided = is_avoided.gather(1, kept).sum(1)
    assert (avoided == max(0, 12 - (30 - num_avoided))).all()
    assert not torch.equal(kept[0], kept[1]) or num_avoided == 18
    again = [np.random.default_rng(i) for i in range(3)]
    assert torch.equal(choose_patches(is_avoided, .6, again), kept)


def test_of_352_patches_141_stay():
    none = torch.zeros(1, 352, dtype=torch.bool)
    kept = choose_patches(none, .6, [np.random.default_rng(0)])
    assert kept.shape == (1, 141)


def test_maps_are_sampled_where_the_points_are():
    """A ramp over the patches has the value of the pixel."""
    rows, columns = np.indices(GRID) * SIDE + (SIDE - 1) / 2
    ramp = torch.from_numpy(np.stack([columns, rows], -1)).float()
    images = FrameImages(torch.zeros(1, 3, *SIZE), None, None)
    uv = torch.rand(1, 50, 2) * torch.tensor([20., 16]) + 1.5
    torch.testing.assert_close(
        sample_patches(ramp.flatten(0, 1)[None], images, uv), uv)
