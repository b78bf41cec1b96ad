"""Check of recordings for frames that disagree, with advice.

Shapes: H W pixels.
"""
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...ops.projection import back_project, transform
from ...store.errors import FrameError
from ...store.posed_images import RGBDFrame
from ..sources.rgbd_folder.conventions import NO_DEPTH
from ..sources.scans.orientation import estimate_up
from .changes_to_try import changes_to_try
from .frame_agreement import (GOOD_CORRELATION, GOOD_SHARE, Agreement,
                              colored_share, measure)
from .source_frames import Source, misfit_of

# Median depth of indoor frames, meters.
# The first is rare, the last two do not occur.
_NEAR, _NEAREST, _FARTHEST = 0.75, 0.3, 12.0
# Median depths between the cameras of a room, at most.
_SPREAD = 8.0
# A change must raise the share, or the correlation of colors, by so much.
_GAIN, _COLOR_GAIN = 0.25, 0.25
# It may be smaller if twice as many points are confirmed.
_SMALL_GAIN = 0.1
# Depth that is too small hides nearly all points, and contradicts none.
_HIDDEN = 10
# Share that frames which do not overlap reach with a change, and confirmed
# points of which colors are told.
_CERTAIN_SHARE, _COLORED = 0.95, 1000
# Points with which all changes are tried, the best of which are tried again
# with all points, and a difference of two ranks that means nothing.
_FEW_POINTS, _FINALISTS, _TIE = 3000, 4, 0.01
# Points confirmed with a change, of all, that are hardly an accident, and that
# cannot be one.
_LIKELY_SHARE, _SURE = 0.1, 0.25
# Length of the mean direction of cameras that look around, and of the mean
# direction of the tops of their images along an axis, alone and with a floor.
_AROUND, _UPRIGHT, _LIKELY = 0.6, 0.85, 0.5
# Cosine of the angle between this direction and an axis, at least.
_STRAIGHT = 0.96
# A doubt needs many points: few of a crop may all lie on edges.
_ENOUGH_POINTS, _USUAL_SHARE = 2000, 0.8
# Frames that have the pose of another, and share of pixels with the same depth
# in half of the frames, that are hardly measured.
_SAME_POSES, _SAME_DEPTH = 2, 0.02
# Share of points that the color camera sees at least.
_LEAST_COLORED = 0.05
# Points that are looked at for a floor.
_CLOUD = 200_000

Changes = List[Tuple[str, Agreement]]


def find_changes(source: Source,
                 agreement: Agreement,
                 is_odd: bool = False) -> Changes:
    """The single changes with which the frames agree, best first.

    With ``is_odd``, a change that confirms twice as many points counts, too.
    """
    tried = []
    for change, changed in changes_to_try(source):
        views = changed.views()
        if len(views) > 1 and _is_plausible(views) and not misfit_of(changed):
            few = measure(views, _FEW_POINTS)
            rank = round(_rank(few), 2), few.confirmed
            tried.append((rank, change, views))
    tried.sort(key=lambda one: one[0], reverse=True)
    found = []
    for _, change, views in tried[:_FINALISTS]:
        other = measure(views)
        if _is_better(
                other,
                agreement) or (is_odd and other.agrees
                               and other.confirmed > 2 * agreement.confirmed):
            found.append((change, other))
    found.sort(key=lambda one: -_rank(one[1]))
    tied = [(change, other) for change, other in found
            if _rank(other) > _rank(found[0][1]) - _TIE]
    # With depth that is too small, few points are seen twice and all others
    # are hidden.
    most = max((other.confirmed for _, other in tied), default=0)
    return [one for one in tied if one[1].confirmed > most / 2]


def _has_odd_size(views: Sequence[RGBDFrame]) -> bool:
    """Whether depth is too small for a room or the cameras' distances.

    Frames of a camera that turns on the spot agree in any unit.
    """
    if not views:
        return False
    places = np.stack([view.pose[:3, 3] for view in views])
    spread = float(np.median(np.ptp(places, axis=0)))
    depth = typical_depth(views)
    return bool(_size(views)) or spread > _SPREAD * depth


def _is_plausible(views: Sequence[RGBDFrame]) -> bool:
    return _NEAREST < typical_depth(views) < _FARTHEST


def typical_depth(views: Sequence[RGBDFrame]) -> float:
    """Median depth of some frames, meters; NaN without any."""
    parts = [view.depth[::8, ::8].reshape(-1) for view in views]
    depth = np.concatenate([np.zeros(0), *parts])
    return float(np.median(depth[depth > 0])) if depth.any() else np.nan


def _is_better(other: Agreement, now: Agreement) -> bool:
    """Whether a change explains the disagreement better than chance."""
    if (not other.is_telling or other.share < GOOD_SHARE
            or other.hidden > _HIDDEN * other.confirmed):
        return False
    if not now.is_telling:
        return (other.share >= _CERTAIN_SHARE
                and other.confirmed > 10 * now.counted)
    gain = other.share - now.share
    if gain >= _GAIN or (gain >= _SMALL_GAIN
                         and other.confirmed > 2 * now.confirmed):
        return not other.correlation < now.correlation - _COLOR_GAIN
    return (gain > -0.05 and other.confirmed > _COLORED
            and other.correlation >= GOOD_CORRELATION
            and other.correlation - now.correlation >= _COLOR_GAIN)


def _rank(agreement: Agreement) -> float:
    """Frames that agree in colors, too, are the better explanation."""
    if not agreement.is_telling:
        return -1.0
    return agreement.share + 0.5 * float(np.nan_to_num(agreement.correlation))


def check_agreement(source: Source) -> Tuple[Agreement, str]:
    """Compare frames of a recording, as they are to be imported.

    Returns how they agree, or overlap too little to tell, and a line for the
    log. FrameError when they disagree, with the change that would help.
    """
    views = source.views()
    agreement = measure(views)
    misfit = '' if agreement.agrees else misfit_of(source)
    if misfit:
        raise FrameError(f'{source.name}: {misfit}{source.remedy}')
    if views and colored_share(views) < _LEAST_COLORED:
        raise FrameError(
            f'{source.name}: the color camera sees no point of the depth '
            'images; give --depth-to-color in meters, from depth to color'
            f'{source.remedy}')
    is_odd = _has_odd_size(views)
    if (agreement.agrees and not is_odd) or len(source.frames) < 2:
        return agreement, f'{agreement}{_size(views)}'
    changes = find_changes(source, agreement, is_odd)
    advice = 'check the poses, cameras and depth unit'
    if changes:
        names = ' or '.join(change for change, _ in changes[:2])
        advice = f'with {names} {changes[0][1].share:.0%} do'
    if agreement.is_telling and (agreement.disagrees or changes):
        what = 'frames'
        if agreement.share >= GOOD_SHARE:
            what = 'units of the frames' if is_odd else 'colors of the frames'
        raise FrameError(f'{source.name}: the {what} disagree '
                         f'({_shares(agreement)}{_size(views)}); {advice}'
                         f'{source.remedy}')
    if changes and (looks_upside_down(views)
                    or changes[0][1].confirmed > _SURE * agreement.points):
        what = ('frames see no place in common'
                if views else 'poses are not rigid motions')
        raise FrameError(f'{source.name}: the {what}{_size(views)}; {advice}'
                         f'{source.remedy}')
    is_likely = changes and changes[0][1].confirmed > (
        _LIKELY_SHARE * agreement.points)
    doubt = f'; {advice}: check that' if is_likely else ''
    return agreement, f'{agreement}{_size(views)}{doubt}'


def list_doubts(source: Source, agreement: Agreement) -> List[str]:
    """Lines for the log on values in agreeing frames that look unmeasured."""
    doubts = []
    count = len(source.frames)
    poses = {frame.pose.tobytes() for frame in source.frames}
    if count - len(poses) >= _SAME_POSES:
        doubts.append(f'{count - len(poses)} of {count} frames have exactly '
                      'the pose of another one: check that the camera stood '
                      'still')
    value, frames, share = _most_common_depth(source)
    if min(len(poses),
           frames) > 2 and frames >= count / 2 and share >= _SAME_DEPTH:
        doubts.append(
            f'depth is {value:g} in {share:.0%} of the pixels of {frames} '
            f'frames: check that it is measured, or add --no-depth {value:g}')
    tells = agreement.is_telling and agreement.counted >= _ENOUGH_POINTS
    if tells and agreement.share < _USUAL_SHARE:
        doubts.append('fewer agree than usual: check that the units of depth '
                      'and poses and the intrinsics are right')
    elif tells and agreement.share >= GOOD_SHARE and not agreement.agrees:
        doubts.append('the colors of the frames disagree: check that color '
                      'and depth images with one name are of one moment')
    return doubts


def _most_common_depth(source: Source) -> Tuple[float, int, float]:
    """The depth that most frames have most often, in the recording's unit, the
    number of these frames, and its mean share of their pixels."""
    shares: Dict[float, List[float]] = {}
    no_depth = (NO_DEPTH, source.convention.no_depth)
    for frame in source.frames:
        depth = frame.depth[(frame.depth > 0)
                            & ~np.isin(frame.depth, no_depth)]
        if depth.size:
            values, counts = np.unique(depth, return_counts=True)
            index = int(counts.argmax())
            shares.setdefault(float(values[index]),
                              []).append(counts[index] / frame.depth.size)
    if not shares:
        return 0.0, 0, 0.0
    value = max(shares, key=lambda depth: len(shares[depth]))
    return value, len(shares[value]), float(np.mean(shares[value]))


def _shares(agreement: Agreement) -> str:
    text = f'{agreement.share:.0%} of the points agree'
    if not np.isnan(agreement.correlation):
        text += f', colors correlate by {agreement.correlation:.2f}'
    return text


def _size(views: Sequence[RGBDFrame]) -> str:
    """Note an implausible depth."""
    depth = typical_depth(views)
    if np.isnan(depth) or _NEAR < depth < _FARTHEST:
        return ''
    return f', and depth is typically {depth:.2g} m'


def looks_upside_down(views: Sequence[RGBDFrame]) -> bool:
    """Whether most images have their bottom up, if z is up, which people who
    record rooms do not do."""
    downs = [view.pose[2, 1] for view in views]
    return bool(downs) and float(np.mean(downs)) > 0.5


def check_up(source: Source) -> Tuple[str, str]:
    """Find out which axis of a recording's world points up.

    Returns the axis or ``'unknown'``, and a line for the log. FrameError when
    the floor, or cameras that look around, say that it is not z.
    """
    views = source.views()
    if not views:
        return 'unknown', ''
    floor, (cameras, tops) = estimate_up(_cloud(views)), camera_up(views)
    up = floor or cameras
    if cameras is None and floor and _along(tops, floor) < _LIKELY:
        up = None
    if up not in (None, 'z') and cameras in (None, up):
        raise FrameError(f'{source.name}: the floor seems to be at the low '
                         f'end of axis {up}; give --up={up} (--up=z if z '
                         f'points up){source.remedy}')
    if up is None or cameras not in (None, up):
        direction = ','.join(f'{x:.2f}' for x in tops)
        return 'unknown', ("cannot tell what points up (the cameras' mean: "
                           f'{direction}); it has to be z, see --up')
    return up, ''


def _along(vector: np.ndarray, axis: str) -> float:
    """Component of (3,) along an axis such as ``-y``."""
    value = float(vector['xyz'.index(axis[-1])])
    return -value if axis[0] == '-' else value


def _cloud(views: Sequence[RGBDFrame]) -> np.ndarray:
    """(N, 3) points of some frames, world frame, meters."""
    parts = []
    for view in views:
        pixels = np.flatnonzero(view.depth.reshape(-1) > 0)
        pixels = pixels[::max(len(pixels) * len(views) // _CLOUD, 1)]
        points = back_project(
            view.depth.astype(np.float64), view.cameras.depth_intrinsics,
            pixels)
        parts.append(transform(points, view.pose))
    return np.concatenate(parts)


def camera_up(views: Sequence[RGBDFrame]) -> Tuple[Optional[str], np.ndarray]:
    """Mean up direction of cameras that look around.

    Returns the axis that all images have at their top, None when they look in
    one direction or are held in different ways; and (3,) the mean direction of
    their tops.
    """
    tops = -np.mean([view.pose[:3, 1] for view in views], axis=0)
    ahead = np.mean([view.pose[:3, 2] for view in views], axis=0)
    axis = int(np.abs(tops).argmax())
    length = np.abs(tops[axis])
    is_clear = (
        np.linalg.norm(ahead) < _AROUND and length > _UPRIGHT
        and length > _STRAIGHT * np.linalg.norm(tops))
    sign = '-' if tops[axis] < 0 else ''
    return f'{sign}{"xyz"[axis]}' if is_clear else None, tops
