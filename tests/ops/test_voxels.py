"""Sparse convolution is the dense one, read where voxels are."""
import pytest
import torch
import torch.nn.functional as F

from sam3d_plugin.ops.voxels import (MAX_COORDINATE, MAX_SCENES, VoxelGrid,
                                     sparse_conv, voxel_keys, voxelize)
from sam3d_plugin.store.errors import UserError

SIZE, SHIFT = 8, 4  # a dense grid holds coordinates -4 to 3


def grid_of(coordinates, scenes=None):
    """A grid of voxels (N, 3), which may be given in any order."""
    coordinates = torch.as_tensor(coordinates)
    if scenes is None:
        scenes = torch.zeros(len(coordinates), dtype=torch.int64)
    return VoxelGrid(torch.unique(voxel_keys(scenes, coordinates)))


def random_grid(share=.2, num_scenes=2, seed=0):
    """Voxels at negative and positive coordinates."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_scenes, SIZE, SIZE, SIZE)
    places = (torch.rand(shape, generator=generator) < share).nonzero()
    return grid_of(places[:, 1:] - SHIFT, places[:, 0])


def scattered(grid, features, size=SIZE, shift=SHIFT):
    """Features (V, C) in a dense batch (B, C, X, Y, Z) of zeros."""
    dense = features.new_zeros(2, size, size, size, features.shape[1])
    places = (grid.scenes, *(grid.coordinates + shift).unbind(1))
    return dense.index_put(places, features).permute(0, 4, 1, 2, 3)


def read(dense, grid, shift=SHIFT):
    """The other way round."""
    places = (grid.scenes, *(grid.coordinates + shift).unbind(1))
    return dense.permute(0, 2, 3, 4, 1)[places]


def dense_weight(weight):
    """(K, C, C') as torch has it: (C', C, k, k, k)."""
    size = round(len(weight)**(1 / 3))
    return weight.permute(2, 1, 0).unflatten(2, (size, size, size))


def convolve(kind, grid, features, weight):
    """Sparse and dense, both at the output voxels."""
    coarse, down = grid.coarser()
    if kind in (1, 3, 5):
        found = sparse_conv(features, weight, grid.neighborhood(kind))
        return found, read(
            F.conv3d(
                scattered(grid, features),
                dense_weight(weight),
                padding=kind // 2), grid)
    if kind == 'down':
        return sparse_conv(features, weight, down), read(
            F.conv3d(
                scattered(grid, features), dense_weight(weight), stride=2),
            coarse, SHIFT // 2)
    found = sparse_conv(features, weight, down.reversed())
    dense = scattered(coarse, features, SIZE // 2, SHIFT // 2)
    dense = F.conv_transpose3d(
        dense, dense_weight(weight).transpose(0, 1), stride=2)
    return found, read(dense, grid)


def case(kind, grid, channels=(3, 4), dtype=torch.float64):
    """Features and weight that have gradients."""
    torch.manual_seed(1)
    num = len(grid.coarser()[0] if kind == 'up' else grid)
    num_offsets = kind**3 if isinstance(kind, int) else 8
    features = torch.randn(num, channels[0], dtype=dtype, requires_grad=True)
    weight = torch.randn(
        num_offsets, *channels, dtype=dtype, requires_grad=True)
    return features, weight


@pytest.mark.parametrize('kind', [1, 3, 5, 'down', 'up'])
@pytest.mark.parametrize('share', [.02, .2, 1.])
def test_forward_and_gradients_are_those_of_dense_convolution(kind, share):
    grid = random_grid(share)
    features, weight = case(kind, grid)
    sparse, dense = convolve(kind, grid, features, weight)
    torch.testing.assert_close(sparse, dense, atol=1e-12, rtol=1e-12)
    pull = torch.randn_like(dense)
    for mine, theirs in zip(
            *(torch.autograd.grad(result, (features, weight), pull)
              for result in (sparse, dense))):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize('kind', [3, 'down', 'up'])
def test_gradients_are_those_of_finite_differences(kind):
    grid = random_grid(.02)

    def sparse(features, weight):
        return convolve(kind, grid, features, weight)[0]

    assert torch.autograd.gradcheck(sparse, case(kind, grid, (2, 2)))


@pytest.mark.parametrize('kind', [3, 'down', 'up'])
def test_float32_is_as_exact_as_dense(kind):
    grid = random_grid()
    inputs = case(kind, grid, (16, 16), torch.float32)
    sparse, dense = convolve(kind, grid, *inputs)
    torch.testing.assert_close(sparse, dense, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize('kind', [3, 'down', 'up'])
def test_one_voxel(kind):
    """All offsets but one are empty, and their weights have no gradient."""
    grid = grid_of([[-3, 0, 1]])
    features, weight = case(kind, grid)
    sparse, dense = convolve(kind, grid, features, weight)
    torch.testing.assert_close(sparse, dense)
    sparse.sum().backward()
    # A child at odd x and z is the sixth of eight.
    assert weight.grad.flatten(1).any(1).nonzero().tolist() == [[
        13 if kind == 3 else 5
    ]]


def test_a_row_is_added_to_once_for_an_offset():
    """Which makes sums repeatable where additions are atomic."""
    grid = random_grid()
    coarse, down = grid.coarser()
    for kernel_map in (grid.neighborhood(3), down, down.reversed()):
        assert len(kernel_map.counts) in (27, 8)
        parts = zip(
            kernel_map.in_rows.split(kernel_map.counts),
            kernel_map.out_rows.split(kernel_map.counts))
        for in_rows, out_rows in parts:
            assert len(in_rows.unique()) == len(in_rows)
            assert len(out_rows.unique()) == len(out_rows)
    # Each voxel is in one coarser voxel, at the half of its place.
    assert down.in_rows.sort().values.equal(torch.arange(len(grid)))
    halves = grid.coordinates.div(2, rounding_mode='floor')
    assert coarse.coordinates[down.out_rows].equal(halves[down.in_rows])
    assert coarse.scenes[down.out_rows].equal(grid.scenes[down.in_rows])


def test_maps_are_computed_once():
    grid = random_grid()
    assert grid.coarser() is grid.coarser()
    assert grid.neighborhood(3) is grid.neighborhood(3)


def test_scenes_at_the_same_place_do_not_mix():
    grid = random_grid(num_scenes=2)
    features, weight = case(3, grid)
    both = sparse_conv(features, weight, grid.neighborhood(3))
    for scene in range(2):
        mine = grid.scenes == scene
        alone = VoxelGrid(grid.keys[mine])
        torch.testing.assert_close(
            sparse_conv(features[mine], weight, alone.neighborhood(3)),
            both[mine])


def test_neighbors_at_the_ends_of_the_range():
    """The last z of a column and the first of the next are far apart."""
    end = MAX_COORDINATE
    corners = torch.tensor([[x, y, z] for x in (-end, end) for y in (-end, end)
                            for z in (-end, end)])
    grid = grid_of(
        torch.cat([corners, corners]),
        torch.arange(2).repeat_interleave(8))
    assert grid.coordinates[:8].equal(corners)
    for size in (3, 5):
        assert sum(grid.neighborhood(size).counts) == len(grid) == 16
    for _ in range(15):
        grid = grid.coarser()[0]
    # -1 and 0 in each direction: all of a scene are neighbors now.
    assert len(grid) == 16
    assert sum(grid.neighborhood(3).counts) == 2 * 8 * 8


def test_points_become_voxels():
    points = torch.tensor([[[-.01, .0, .26], [.01, .01, .1], [.09, .0, .0],
                            [.0, .0, .0]]]).repeat(2, 1, 1)
    grid, voxels = voxelize(points, .1)
    assert grid.coordinates.tolist() == [[-1, 0, 2], [0, 0, 0], [0, 0, 1]] * 2
    assert grid.scenes.tolist() == [0] * 3 + [1] * 3
    assert voxels.tolist() == [[0, 2, 1, 1], [3, 5, 4, 4]]


def test_order_of_points_is_that_of_nothing():
    torch.manual_seed(0)
    points, order = torch.randn(2, 50, 3), torch.randperm(50)
    grid, voxels = voxelize(points, .3)
    other, moved = voxelize(points[:, order], .3)
    assert other.keys.equal(grid.keys) and moved.equal(voxels[:, order])


def test_empty_batch():
    grid, voxels = voxelize(torch.zeros(0, 5, 3), .1)
    assert len(grid) == 0 and voxels.shape == (0, 5)


@pytest.mark.parametrize('value', [400., -400., float('nan'), float('inf')])
def test_points_out_of_range_are_refused(value):
    points = torch.zeros(1, 4, 3)
    points[0, 2, 1] = value
    with pytest.raises(UserError, match='center the scene') as error:
        voxelize(points, .01)
    assert '328 m' in str(error.value) and len(str(error.value)) < 200
    if abs(value) == 400:
        assert len(voxelize(points, .02)[0]) == 2


def test_too_many_scenes_are_refused():
    with pytest.raises(UserError, match='batch size'):
        voxelize(torch.zeros(MAX_SCENES + 1, 1, 3), .1)


def test_other_kernels_are_refused():
    with pytest.raises(UserError, match='size 4'):
        random_grid().neighborhood(4)


@pytest.mark.parametrize('kind', [3, 'down'])
def test_autocast_multiplies_in_half_and_adds_in_float(kind):
    grid = random_grid(1.)
    features, weight = case(kind, grid, (8, 8), torch.float32)
    exact = convolve(kind, grid, features, weight)[0]
    with torch.autocast('cpu', torch.bfloat16):
        half, _ = convolve(kind, grid, features, weight)
    assert half.dtype == torch.bfloat16
    error = (half.float() - exact).abs().mean() / exact.abs().mean()
    assert 0 < error < 6e-3
    half.float().sum().backward()
    assert features.grad.dtype == weight.grad.dtype == torch.float32
