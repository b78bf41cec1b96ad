"""Colored points as a PLY file, for MeshLab, CloudCompare or Blender.

Shapes: N points.
"""
import io
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np
from plyfile import PlyData, PlyElement

from sam3d_plugin.store.files import BackendArgs, write_bytes
from sam3d_plugin.store.ply_comments import CLASS_INDEX, COLORS_SHOW, EDGES
from ..store.errors import UserError
from .points import check_points

# What float32 may change of a coordinate, meters.
_TOLERANCE = 1e-4


def write_ply(path: Union[str, Path],
              points: np.ndarray,
              colors: np.ndarray,
              region_ids: Optional[np.ndarray] = None,
              backend_args: BackendArgs = None,
              labels: Optional[np.ndarray] = None,
              classes: Sequence[str] = (),
              num_edges: int = 0,
              colors_show: str = '',
              frame: str = 'x y z in meters, z up') -> None:
    """Write points with colors, binary and little endian.

    Coordinates far from the origin are written in double precision. Comments
    say what the numbers mean.

    Args:
        path (Union[str, Path]): PLY file to write; its folder is made.
        points (np.ndarray): (N, 3) xyz, see ``frame``.
        colors (np.ndarray): (N, 3) uint8.
        region_ids (Optional[np.ndarray]): (N,) ids, kept as the property
            ``region``.
        backend_args (BackendArgs): Arguments of the file backend.
        labels (Optional[np.ndarray]): (N,) indices into ``classes``, kept as
            the property ``class_index``.
        classes (Sequence[str]): Names of the classes.
        num_edges (int): How many points at the end draw boxes.
        colors_show (str): What, if not the colors of the room.
        frame (str): Units and axes of the points, for the comments.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            colors or ids are not as many as points.
    """
    points = check_points(points)
    is_exact = np.abs(points.astype(np.float32) - points).max() < _TOLERANCE
    kind = '<f4' if is_exact else '<f8'
    columns = [(name, kind, points[:, i]) for i, name in enumerate('xyz')]
    if np.shape(colors) != points.shape:
        raise UserError(f'{path}: {len(points)} points came with colors of '
                        f'shape {np.shape(colors)}')
    columns += [(name, 'u1', np.asarray(colors)[:, i])
                for i, name in enumerate(('red', 'green', 'blue'))]
    for name, ids in (('region', region_ids), (CLASS_INDEX, labels)):
        if ids is None:
            continue
        if np.shape(ids) != (len(points), ):
            raise UserError(f'{path}: {len(points)} points came with '
                            f'{len(ids)} {name} ids')
        columns.append((name, '<u4', ids))
    comments = [frame]
    if region_ids is not None:
        comments.append('region 0: in none')
    if num_edges:
        comments.append(f'{EDGES} {num_edges}')
    if colors_show:
        comments.append(f'{COLORS_SHOW} {colors_show}')
    comments += [f'{CLASS_INDEX} {i} {name}' for i, name in enumerate(classes)]
    write_bytes(path, _encode(columns, comments), backend_args)


def _encode(columns: List[Tuple[str, str, np.ndarray]],
            comments: List[str]) -> bytes:
    """A PLY file of vertices with columns of name, kind and (N,) values."""
    vertices = np.empty(
        len(columns[0][2]), [(name, kind) for name, kind, _ in columns])
    for name, _, values in columns:
        vertices[name] = values
    buffer = io.BytesIO()
    PlyData([PlyElement.describe(vertices, 'vertex')],
            byte_order='<',
            comments=comments).write(buffer)
    return buffer.getvalue()
