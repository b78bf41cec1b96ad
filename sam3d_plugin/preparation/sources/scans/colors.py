"""Colors of points, however they are named and scaled.

Shapes: N points.
"""
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from ....store.errors import UserError

# Names of three properties, without regard to case.
CHANNEL_NAMES: Tuple[Tuple[str, str, str], ...] = (
    ('red', 'green', 'blue'),
    ('diffuse_red', 'diffuse_green', 'diffuse_blue'),
    ('r', 'g', 'b'),
    ('color_r', 'color_g', 'color_b'),
    ('scalar_r', 'scalar_g', 'scalar_b'),
    ('ambient_red', 'ambient_green', 'ambient_blue'),
)
_SPLAT_NAMES = ('f_dc_0', 'f_dc_1', 'f_dc_2')
_GREY_NAMES = ('gray', 'grey', 'intensity', 'scalar_intensity')
# The constant spherical harmonic, with which Gaussian splats store colors.
_HARMONIC = 0.28209479177387814
# Values over the end of a scale that rounding and filters leave, as a share
# of the scale, and how many of all values may be such.
_OVERSHOOT, _FEW = 0.1, 0.01
# A scale whose end the largest value exceeds so often is not the one.
_CLEARLY_MORE = 16
_SIXTEEN_BIT = 65535


def find_colors(
        properties: Mapping[str,
                            np.ndarray]) -> Tuple[Optional[np.ndarray], List]:
    """Colors (N, 3) among (N,) properties, in the scale of the file, and the
    names that they come from; None and no names without any."""
    names: Dict[str, str] = {}
    for name in properties:
        names.setdefault(name.lower(), name)
    for channels in CHANNEL_NAMES:
        if all(channel in names for channel in channels):
            used = [names[channel] for channel in channels]
            return np.stack([properties[name] for name in used], 1), used
    for name in names:
        used = [
            names.get(name.replace('red', color, 1), '')
            for color in CHANNEL_NAMES[0]
        ]
        if 'red' in name and all(used):
            return np.stack([properties[name] for name in used], 1), used
    if all(name in names for name in _SPLAT_NAMES):
        used = [names[name] for name in _SPLAT_NAMES]
        harmonics = np.stack([properties[name] for name in used], 1)
        return (0.5 + _HARMONIC * harmonics.astype(float)).clip(0, 1), used
    for packed in ('rgb', 'rgba'):
        if packed in names and is_packed(properties[names[packed]]):
            used = [names[packed]]
            return unpack_colors(properties[used[0]]), used
    for grey in (*_GREY_NAMES, 'rgb'):
        if grey in names:
            used = [names[grey]]
            return np.stack([properties[used[0]]] * 3, 1), used
    return None, []


def is_packed(values: np.ndarray) -> bool:
    """Whether (N,) values called ``rgb`` are packed colors, not gray.

    Those are integers beyond one channel, or floats that show the bytes of
    such an integer, all but 0 as a number, or not a number.
    """
    high = np.nan_to_num(values.astype(np.float64)).max()
    if values.dtype.kind == 'f':
        return not 1e-30 < high <= _SIXTEEN_BIT
    return values.dtype.itemsize >= 4 and high > 255


def unpack_colors(packed: np.ndarray) -> np.ndarray:
    """Take apart colors in four bytes, as the Point Cloud Library has them.

    Args:
        packed (np.ndarray): (N,) integers 0xRRGGBB, or float32 of the same
            bytes.

    Returns:
        np.ndarray: (N, 3) uint8.
    """
    if packed.dtype.kind == 'f':
        packed = packed.astype(np.float32).view(np.uint32)
    bits = packed.astype(np.int64)
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255],
                    axis=1).astype(np.uint8)


def scale_colors(rgb: np.ndarray) -> Tuple[np.ndarray, str]:
    """Bring (N, 3) or (N, 4) colors of any usual scale to 0 to 255.

    The scale follows from kind and range of the values: 0 to 1 for floats, 0
    to 255, and 0 to 65,535. A few values just over the end of a scale are cut
    off, a fourth channel is left out. Returns (N, 3) float32 and a note, ''
    where nothing was done. ValueError when the values fit no scale.
    """
    notes = []
    if rgb.ndim == 2 and rgb.shape[1] == 4:
        rgb = rgb[:, :3]
        notes.append('opacity not used')
    if rgb.dtype.kind == 'b':
        rgb = rgb.astype(np.uint8) * 255
    values = rgb.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    scale = _find_scale(values, rgb.dtype.kind == 'f')
    if scale is None:
        raise UserError(f'colors reach from {low:g} to {high:g}; store them '
                        'as 0 to 255')
    if rgb.dtype.kind in 'iu' and high == 1:
        raise UserError('colors are integers from 0 to 1; store them as 0 to '
                        '255')
    if low == high:
        notes.append(f'all color values are {low:g}')
    if scale != 255:
        notes.append(f'colors from 0 to {scale:,}, stored as 0 to 255')
    over = int(((values < 0) | (values > scale)).sum())
    if over:
        notes.append(f'{over:,} color values beyond 0 to {scale:,} cut off')
    result = values.clip(0, scale) * (255 / scale)
    return result.astype(np.float32), '; '.join(notes)


def _find_scale(values: np.ndarray, is_float: bool) -> Optional[int]:
    """The scale that holds all but a few values; None where none does.

    Values that reach a little beyond one scale are not taken for dark ones
    of the next.
    """
    high = float(values.max())
    for scale in (1, 255, _SIXTEEN_BIT)[0 if is_float else 1:]:
        slack = _OVERSHOOT * scale if is_float else 0
        if high <= scale + slack:
            is_beyond = (values > scale) | (values < 0)
            is_fit = values.min() >= -slack and is_beyond.mean() <= _FEW
            return scale if is_fit else None
        if not high > _CLEARLY_MORE * scale:
            return None
    return None
