"""Points and the pixels of a color image that show them."""
import numpy as np
import pytest
import torch

from sam3d_plugin.ops.image_sampling import locate_points, sample_image
from sam3d_plugin.ops.projection import project, scale_intrinsics, transform

SIZE = (12, 20)
INTRINSICS = torch.tensor([[15., 0, 9.5], [0, 17, 5.5], [0, 0, 1]])[None]


def ramp(height, width):
    """(1, 2, height, width), u and v of each pixel."""
    v, u = np.indices((height, width))
    return torch.from_numpy(np.stack([u, v])[None]).float()


def pose_of(angle, shift):
    pose = torch.eye(4)
    cosine, sine = np.cos(angle), np.sin(angle)
    pose[:2, :2] = torch.tensor([[cosine, -sine], [sine, cosine]])
    pose[:3, 3] = torch.tensor(shift)
    return pose


def test_positions_are_those_of_the_camera_model():
    poses = torch.stack([pose_of(0, [0., 0, 0]), pose_of(.4, [.1, -.2, .3])])
    points = torch.rand(2, 300, 3, generator=torch.manual_seed(0)) * 3 - 1
    uv, is_seen = locate_points(points, poses, INTRINSICS.expand(2, -1, -1),
                                SIZE)
    for scene in range(2):
        camera = transform(points[scene].numpy(), poses[scene].numpy())
        expected, _ = project(camera, INTRINSICS[0].numpy())
        with np.errstate(invalid='ignore'):
            inside = ((expected >= -.5) & (expected < [19.5, 11.5])).all(1)
        np.testing.assert_array_equal(is_seen[scene], inside)
        assert 20 < inside.sum() < 280
        np.testing.assert_allclose(
            uv[scene][inside], expected[inside], atol=1e-4)
        assert not uv[scene][~inside].any()


def test_points_behind_or_in_the_camera_are_not_seen():
    points = torch.tensor([[[0., 0, 2], [0, 0, -2], [0, 0, 0]]])
    uv, is_seen = locate_points(points, torch.eye(4)[None], INTRINSICS, SIZE)
    assert is_seen.tolist() == [[True, False, False]]
    assert uv.tolist() == [[[9.5, 5.5], [0, 0], [0, 0]]]


@pytest.mark.parametrize('size', [SIZE, (6, 5)])
def test_a_ramp_has_the_value_of_the_position(size):
    """Neither swapped, nor of the size before."""
    uv = torch.rand(1, 50, 2, generator=torch.manual_seed(0))
    uv = uv * torch.tensor([16., 9]) + torch.tensor([1.5, 1])
    image = ramp(*SIZE)
    # A cell of a coarser map is the mean of its pixels.
    image = torch.nn.functional.adaptive_avg_pool2d(image, size)
    torch.testing.assert_close(
        sample_image(image, uv, SIZE), uv, atol=1e-4, rtol=0)


def test_a_resized_image_has_the_same_value_at_the_rescaled_position():
    small = (6, 10)
    points = torch.rand(1, 50, 3, generator=torch.manual_seed(0)) * .25
    points[..., 2] += 1.
    scaled = torch.from_numpy(scale_intrinsics(INTRINSICS[0], SIZE, small))
    pose = torch.eye(4)[None]
    uv, _ = locate_points(points, pose, INTRINSICS, SIZE)
    moved, is_seen = locate_points(points, pose, scaled[None].float(), small)
    assert is_seen.all()
    image = torch.nn.functional.avg_pool2d(ramp(*SIZE), 2)
    torch.testing.assert_close(
        sample_image(image, moved, small), uv, atol=1e-4, rtol=0)


def test_borders_and_no_points():
    image = ramp(*SIZE)
    corners = torch.tensor([[[-.5, -.5], [19.4, 11.4]]])
    found = sample_image(image, corners, SIZE)
    assert found.tolist() == [[[0, 0], [19, 11]]]
    nothing = torch.zeros(1, 0, 3)
    uv, is_seen = locate_points(nothing, torch.eye(4)[None], INTRINSICS, SIZE)
    assert is_seen.shape == (1, 0)
    assert sample_image(image, uv, SIZE).shape == (1, 0, 2)
