"""Recordings that contradict themselves are refused with the way out."""
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sam3d_plugin.preparation.checking.frame_agreement import (GOOD_SHARE,
                                                               LOWEST_SHARE,
                                                               measure,
                                                               sample_frames)
from sam3d_plugin.preparation.checking.recording_check import (check_agreement,
                                                               check_up,
                                                               list_doubts)
from sam3d_plugin.preparation.checking.source_frames import (Source,
                                                             SourceFrame,
                                                             camera_misfit,
                                                             sample)
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import (
    Convention, ray_lengths)
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras
from tests.preparation.box_room import (INTRINSICS, SHAPE, change, look, see,
                                        walk)

OURS = Convention()
CAMERAS = Cameras(INTRINSICS, INTRINSICS, np.eye(4), True)


def source(frames, convention=OURS, cameras=CAMERAS, unit=1000):
    poses = [None, *(frame.pose for frame in frames), None]
    return Source('room', [
        SourceFrame(f.color, np.round(f.depth * unit), f.pose, poses[i],
                    poses[i + 2]) for i, f in enumerate(frames)
    ], cameras, convention)


@pytest.fixture(scope='module')
def frames():
    return walk()


def as_quaternion_w_first(pose):
    pose = pose.copy()
    quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
    pose[:3, :3] = Rotation.from_quat(np.roll(quaternion, 1)).as_matrix()
    return pose


def transposed_rotation(pose):
    pose = pose.copy()
    pose[:3, :3] = pose[:3, :3].T
    return pose


def in_millimeters(pose):
    pose = pose.copy()
    pose[:3, 3] *= 1000
    return pose


MIRROR = np.diag([-1.0, 1, 1, 1])
CHANGES = {
    '--camera-axes opengl':
    dict(pose=lambda p: p @ np.diag([1, -1, -1, 1])),
    '--camera-axes pytorch3d':
    dict(pose=lambda p: p @ np.diag([-1, -1, 1, 1])),
    '--camera-axes robot':
    dict(pose=lambda p: p @ np.array([[0, -1, 0, 0], [0, 0, -1, 0],
                                      [1, 0, 0, 0], [0, 0, 0, 1.0]])),
    '--camera-axes unity':
    dict(pose=lambda p: MIRROR @ p @ np.diag([1, -1, 1, 1])),
    '--camera-axes down,left,forward':
    dict(pose=lambda p: p @ np.array([[0, -1, 0, 0], [1, 0, 0, 0],
                                      [0, 0, 1, 0], [0, 0, 0, 1.0]])),
    '--poses world-to-camera':
    dict(pose=np.linalg.inv),
    '--poses rotation-transposed':
    dict(pose=transposed_rotation),
    '--poses column-major':
    dict(pose=np.transpose),
    '--poses quaternion-wxyz':
    dict(pose=as_quaternion_w_first),
    '--pose-scale 0.001':
    dict(pose=in_millimeters),
    '--pose-scale 0.3048':
    dict(pose=lambda p: p * np.array([[1, 1, 1, 1 / 0.3048]] * 3 + [[1] * 4])),
    '--depth-scale 256':
    dict(depth=lambda d: d * 0.256),
    '--depth-scale 5000':
    dict(depth=lambda d: d * 5),
    '--depth-scale 8000':
    dict(depth=lambda d: d * 8),
    '--depth-scale 100':
    dict(depth=lambda d: d * 0.1),
    '--depth-along ray':
    dict(depth=lambda d: d * ray_lengths(d.shape, INTRINSICS)),
    'all images mirrored left to right':
    dict(depth=np.fliplr, color=np.fliplr),
    'all images mirrored upside down':
    dict(depth=np.flipud, color=np.flipud),
    'all images turned by 180 degrees':
    dict(depth=lambda d: d[::-1, ::-1], color=lambda c: c[::-1, ::-1]),
    'depth images mirrored left to right':
    dict(depth=np.fliplr),
    'color images mirrored left to right':
    dict(color=np.fliplr),
    'color images mirrored upside down':
    dict(color=np.flipud),
}


def test_frames_of_a_room_agree(frames):
    agreement, note = check_agreement(source(frames))
    assert agreement.share > 0.95 and agreement.correlation > 0.9
    assert agreement.agrees and f'{agreement.share:.0%}' in note
    assert check_up(source(frames))[0] == 'z'


@pytest.mark.parametrize('advice', CHANGES)
def test_the_change_that_would_help_is_found(frames, advice):
    wrong = change(frames, **CHANGES[advice])
    with pytest.raises(FrameError, match=re.escape(advice)) as error:
        check_agreement(source(wrong))
    assert len(str(error.value)) < 250


@pytest.mark.parametrize('options, advice', [
    (dict(camera_axes='opengl'), '--camera-axes opencv'),
    (dict(poses='world-to-camera'), '--poses camera-to-world'),
    (dict(depth_scale=5000.0), '--depth-scale 1000'),
])
def test_options_that_are_too_much_are_named(frames, options, advice):
    with pytest.raises(FrameError, match=advice):
        check_agreement(source(frames, Convention(**options)))


@pytest.mark.parametrize('advice', [
    '--camera-axes opengl', '--camera-axes robot', '--camera-axes unity',
    '--poses world-to-camera', '--poses column-major',
    '--poses rotation-transposed', '--poses quaternion-wxyz',
    '--pose-scale 0.001', '--depth-scale 256', '--depth-along ray'
])
def test_the_advice_passes_the_same_check(frames, advice):
    option, value = advice[2:].replace('-',
                                       '_').split(' ')[0], advice.split(' ')[1]
    value = float(value) if 'scale' in option else value
    convention = Convention(**{option: value})
    agreement, _ = check_agreement(
        source(change(frames, **CHANGES[advice]), convention))
    assert agreement.agrees


def test_a_small_gain_is_enough_if_far_more_is_confirmed():
    decimeters = change(
        walk(16), pose=lambda p: p * np.array([[1, 1, 1, 10]] * 3 + [[1] * 4]))
    now = measure(source(decimeters).views())
    assert LOWEST_SHARE < now.share < GOOD_SHARE
    with pytest.raises(FrameError, match='--pose-scale 0.1 100% do'):
        check_agreement(source(decimeters))


def test_mirrored_cameras_are_named(frames):
    mirrored = change(frames, pose=lambda p: p @ np.diag([1, -1, 1, 1]))
    with pytest.raises(FrameError, match='--camera-axes unity 100% do'):
        check_agreement(source(mirrored))
    unity = source(mirrored, Convention(camera_axes='unity'))
    assert check_agreement(unity)[0].agrees and check_up(unity)[0] == 'z'


def test_poses_of_the_next_frame_are_noticed():
    frames = walk(16)
    late = [
        SourceFrame(a.color, a.depth * 1000, b.pose, a.pose, c.pose)
        for a, b, c in zip(frames, frames[1:], frames[2:])
    ]
    with pytest.raises(FrameError, match='one later'):
        check_agreement(Source('room', late, CAMERAS))


def test_cameras_of_larger_images_are_noticed(frames):
    small = change(
        frames, depth=lambda d: d[::2, ::2], color=lambda c: c[::2, ::2])
    with pytest.raises(FrameError, match='color-intrinsics') as error:
        check_agreement(source(small))
    numbers = re.search(r'need ([\d.,]+)\)', str(error.value))[1]
    fx, _, cx, _ = (float(number) for number in numbers.split(','))
    assert fx == pytest.approx(30, rel=0.03) and cx == pytest.approx(19.5)


def test_a_single_frame_of_another_size_is_noticed(frames):
    small = change(
        frames[:1], depth=lambda d: d[::2, ::2], color=lambda c: c[::2, ::2])
    with pytest.raises(FrameError, match='principal point 39.5, 29.5'):
        check_agreement(source(small))


@pytest.mark.parametrize('matrix, has_misfit', [
    (INTRINSICS, False),
    (INTRINSICS * [[2], [2], [1]], True),
    (np.diag(np.diag(INTRINSICS)), True),
    (np.array([[60.0, 0, 29.5], [0, 60, 39.5], [0, 0, 1]]), True),
    (INTRINSICS * [[0.5], [0.5], [1]], True),
    (np.array([[60.0, 0, 60], [0, 60, 29.5], [0, 0, 1]]), False),
    (np.array([[600.0, 0, 39.5], [0, 600, 29.5], [0, 0, 1]]), True),
    (np.array([[5.0, 0, 39.5], [0, 5, 29.5], [0, 0, 1]]), True),
])
def test_cameras_fit_their_images(matrix, has_misfit):
    assert bool(camera_misfit(matrix, *SHAPE)) == has_misfit


def test_frames_that_do_not_overlap_tell_nothing():
    apart = [
        see(look([2.5, 2, 1.4], yaw, pitch=0))
        for yaw in np.arange(4) * np.pi / 2
    ]
    agreement, note = check_agreement(source(apart))
    assert not agreement.is_telling and 'too little' in note


def test_cameras_that_look_upside_down_are_noticed_without_overlap():
    apart = [
        see(look([2.5, 2, 1.4], yaw, pitch=-0.3)) for yaw in (0, 1.2, 3.1, 4.3)
    ]
    check_agreement(source(apart))
    wrong = change(apart, pose=lambda p: p @ np.diag([1, -1, -1, 1]))
    with pytest.raises(FrameError, match='camera-axes opengl'):
        check_agreement(source(wrong))


@pytest.mark.parametrize('up, turn', [
    ('y', [[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    ('-y', [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    ('x', [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    ('-z', [[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
])
def test_a_world_that_lies_on_its_side_is_noticed(frames, up, turn):
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    lying = change(frames, pose=lambda p: matrix @ p)
    assert check_agreement(source(lying))[0].agrees
    with pytest.raises(FrameError, match=f'--up={up} '):
        check_up(source(lying))


@pytest.mark.parametrize('angle', [20, 34, 50])
def test_a_tilted_world_is_a_doubt(frames, angle):
    tilt = np.eye(4)
    tilt[:3, :3] = Rotation.from_euler('x', angle, degrees=True).as_matrix()
    up, note = check_up(source(change(frames, pose=lambda p: tilt @ p)))
    assert up == 'unknown' and '--up' in note


def test_one_view_of_a_wall_is_a_doubt():
    assert check_up(source([see(look([2.5, 1.5, 1.4], 1.57,
                                     0))]))[0] == ('unknown')


def test_a_still_camera_tells_nothing(frames):
    agreement = measure(source(frames[:1] * 4).views())
    assert agreement.counted == 0 and not agreement.is_telling


def test_nothing_is_compared_with_nothing():
    assert not measure([]).is_telling
    check_agreement(Source('room', [], CAMERAS))


def test_a_bounded_number_of_frames_is_taken():
    names = [f'{i:05d}' for i in range(1000)]
    taken = sample_frames(names)
    assert len(taken) == 32 and taken == sorted(set(taken))
    assert {'00000', '00001', '00005', '00020'} <= set(taken)
    assert sample_frames(names[:7]) == names[:7]


def test_large_color_images_are_thinned_out():

    def read(name):
        color = np.zeros((3000, 4000, 3) if name == 'big' else (480, 640, 3),
                         np.uint8)
        return SourceFrame(color, np.ones((4, 4)), np.eye(4))

    (frame, ), cameras = sample(['big'], read, CAMERAS)
    assert frame.color.shape[:2] == (750, 1000)
    np.testing.assert_allclose(cameras.color_intrinsics[:2] * 4,
                               INTRINSICS[:2])
    (frame, ), cameras = sample(['small'], read, CAMERAS)
    assert frame.color.shape[:2] == (480, 640)
    np.testing.assert_array_equal(cameras.color_intrinsics, INTRINSICS)


def test_unreadable_frames_are_left_out_but_not_a_failing_disk():

    def fail(error):
        raise FrameError('a.png cannot be read') from error

    assert sample(['a'], lambda _: fail(None), CAMERAS)[0] == []
    assert sample(['a'], lambda _: fail(FileNotFoundError(2, 'gone')),
                  CAMERAS)[0] == []
    with pytest.raises(FrameError, match='cannot be read'):
        sample(['a'], lambda _: fail(OSError(5, 'I/O error')), CAMERAS)


def doubts_of(recording):
    return list_doubts(recording, check_agreement(recording)[0])


def test_frames_of_a_room_leave_no_doubt(frames):
    assert doubts_of(source(frames)) == []
    assert doubts_of(source(frames[:1])) == []


def test_poses_that_were_lost_are_a_doubt(frames):
    lost = frames[:7] + change(frames[7:], pose=lambda pose: np.eye(4))
    assert '2 of 10 frames' in doubts_of(source(lost))[0]


@pytest.mark.parametrize('value', [2047, 10_000, 65_534])
def test_one_depth_in_all_frames_is_a_doubt(frames, value):

    def fill(depth):
        depth = depth.copy()
        depth[:, :8] = value / 1000
        return depth

    filled = source(change(frames, depth=fill))
    doubt, = doubts_of(filled)
    assert f'--no-depth {value}' in doubt
    named = replace(filled, convention=Convention(no_depth=value))
    assert doubts_of(named) == [] and measure(named.views()).share > 0.99


def test_units_that_are_a_little_wrong_are_a_doubt(frames):
    doubt, = doubts_of(source(frames, unit=800))
    assert 'units' in doubt


def test_colors_of_another_moment_are_a_doubt(frames):
    same = change(frames, color=lambda color: frames[0].color)
    doubt, = doubts_of(source(same))
    assert 'colors' in doubt
