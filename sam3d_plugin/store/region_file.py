"""Per-point region ids of one scan, tied to the points they belong to.

A region file is an ``.npz`` of four arrays: ``region_ids`` (N,) uint32,
``scan`` (its name), ``num_points`` and ``points_hash``. The hash covers the
xyz of the points in the order in which they are stored, so that ids of
another scan, or of the same scan in another order, are noticed.
"""
import hashlib
import io
from pathlib import Path
from typing import Union

import numpy as np
from mmengine.fileio import get

from .atomic import atomic_write
from .errors import UserError
from .npz import read_npz

# Region ids travel as a float32 column of the points; float32
# holds every integer up to here.
MAX_REGION_ID = 2**24
_ARRAYS = ('region_ids', 'scan', 'num_points', 'points_hash')


def hash_points(xyz: np.ndarray) -> str:
    """Return the hash that ties a region file to its points.

    Args:
        xyz (np.ndarray): (N, 3) coordinates as stored on disk, meters.

    Returns:
        str: Hexadecimal digest of the float32 coordinates.
    """
    data = np.ascontiguousarray(xyz, dtype='<f4')
    return hashlib.blake2b(data.tobytes(), digest_size=16).hexdigest()


def check_region_ids(region_ids: np.ndarray, name: str) -> np.ndarray:
    """Return region ids as uint32, or say why they cannot be used.

    ValueError when (N,) ids are not integers, negative, or over 2^24.
    """
    region_ids = np.asarray(region_ids)
    if region_ids.ndim != 1 or region_ids.dtype.kind not in 'iu':
        raise UserError(
            f'{name}: region ids must be one integer per point, got '
            f'{region_ids.dtype} of shape {region_ids.shape}')
    if region_ids.size and region_ids.min() < 0:
        raise UserError(f'{name}: region id {region_ids.min()} is negative; '
                        'use 0 for points in no region')
    if region_ids.size and region_ids.max() > MAX_REGION_ID:
        raise UserError(
            f'{name}: region id {region_ids.max()} is over 2^24, which a '
            'float32 point column cannot hold; renumber the regions 1..R')
    return region_ids.astype(np.uint32)


def encode_region_file(region_ids: np.ndarray, xyz: np.ndarray,
                       scan: str) -> bytes:
    """The region ids of one scan as a file.

    (N,) ids, 0 = in no region, and (N, 3) coordinates as stored on disk,
    meters, make an ``.npz``, the same for the same arguments. ValueError when
    ids and points differ in number, or an id is negative or over 2^24.
    """
    region_ids = check_region_ids(region_ids, scan)
    if len(region_ids) != len(xyz):
        raise UserError(f'{scan}: {len(region_ids)} region ids for '
                        f'{len(xyz)} points')
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        region_ids=region_ids,
        scan=np.array(scan),
        num_points=np.array(len(xyz)),
        points_hash=np.array(hash_points(xyz)))
    return buffer.getvalue()


def write_region_file(path: Union[str, Path], region_ids: np.ndarray,
                      xyz: np.ndarray, scan: str) -> None:
    """Write the region ids of one scan.

    Args:
        path (Union[str, Path]): The ``.npz`` file to write.
        region_ids (np.ndarray): (N,) integer ids, 0 = in no region.
        xyz (np.ndarray): (N, 3) coordinates as stored on disk, meters.
        scan (str): Name of the scan.

    Raises:
        ValueError: When ids and points differ in number, or an id is
            negative or over 2^24.
    """
    content = encode_region_file(region_ids, xyz, scan)
    with atomic_write(path) as file:
        file.write(content)


def read_region_file(path: Union[str, Path],
                     xyz: np.ndarray,
                     backend_args: Union[dict, None] = None) -> np.ndarray:
    """Read the region ids of one scan and check that they fit its points.

    Args:
        path (Union[str, Path]): The ``.npz`` file, local or remote.
        xyz (np.ndarray): (N, 3) coordinates as stored on disk, meters.
        backend_args (Union[dict, None]): Arguments of the file backend.

    Returns:
        np.ndarray: (N,) uint32 region ids, 0 = in no region.

    Raises:
        FileNotFoundError: When the file is missing.
        ValueError: When the file is damaged, holds ids for another number of
            points or for other points, or an id over 2^24.
    """
    try:
        content = get(str(path), backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing; import the scan with region ids, or '
            'lift its regions') from None
    return decode_region_file(content, str(path), xyz)


def decode_region_file(content: bytes, path: str,
                       xyz: np.ndarray) -> np.ndarray:
    """Region ids in the content of a region file; see
    :func:`read_region_file`.

    (N,) uint32 ids, 0 = in no region, for (N, 3) coordinates as stored on
    disk, meters. ValueError when it is damaged, holds ids for another number
    of points or for other points, or an id over 2^24.
    """
    remedy = 'write it again with the tool that made it'
    try:
        arrays, _ = read_npz(content, _ARRAYS)
        region_ids = np.atleast_1d(arrays['region_ids'])
        scan = str(arrays['scan'])
        num_points = int(arrays['num_points'])
        points_hash = str(arrays['points_hash'])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} is not a readable region file ({error}); '
                        f'{remedy}') from error
    if not len(region_ids) == num_points == len(xyz):
        raise UserError(f'{path} holds {len(region_ids)} region ids of '
                        f'{scan}, but the scan has {len(xyz)} points; '
                        f'{remedy}')
    if points_hash != hash_points(xyz):
        raise UserError(f'{path} belongs to other points (its scan is '
                        f'{scan}); {remedy}')
    return check_region_ids(region_ids, path)
