"""Furniture as surfaces that can be put into frames.

Shapes: F faces, M samples.
"""
from typing import Callable, Tuple

import numpy as np

from ..store.object_library import ObjectLibrary
from . import furniture, storage
from .meshes import Mesh

# What may be carried through a room without filling it.
MAKERS: Tuple[Callable[[np.random.Generator], furniture.Furniture],
              ...] = (furniture.chair, furniture.armchair,
                      furniture.garbage_bin, furniture.lamp, furniture.carton,
                      storage.nightstand)


def sample_surface(mesh: Mesh, num_points: int,
                   rng: np.random.Generator) -> np.ndarray:
    """Draw points of a mesh, equally dense everywhere.

    Args:
        mesh (Mesh): The mesh.
        num_points (int): M.
        rng (np.random.Generator): Decides.

    Returns:
        np.ndarray: (M, 3) meters, local frame of the mesh.
    """
    corners = mesh.vertices[mesh.faces]
    edges = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    faces = rng.choice(len(areas), num_points, p=areas / areas.sum())
    weights = rng.uniform(0, 1, (num_points, 2, 1))
    # The other half of the parallelogram is the same triangle, turned.
    is_outside = weights.sum(1, keepdims=True) > 1
    weights = np.where(is_outside, 1 - weights, weights)
    return corners[faces, 0] + (weights * edges[faces]).sum(1)


def make_objects(seed: int,
                 num_objects: int = 48,
                 num_points: int = 8192) -> ObjectLibrary:
    """Make random pieces, of every kind equally many.

    Args:
        seed (int): Of shapes and samples.
        num_objects (int): K. Defaults to 48.
        num_points (int): Samples of each M. Defaults to 8192.

    Returns:
        ObjectLibrary: Their surfaces, standing on z = 0.
    """
    names, points = [], []
    for number in range(num_objects):
        rng = np.random.default_rng((seed, number))
        piece = MAKERS[number % len(MAKERS)](rng)
        low, high = piece.mesh.extent
        middle = np.append((low + high)[:2] / 2, low[2])
        names.append(piece.name)
        points.append(sample_surface(piece.mesh, num_points, rng) - middle)
    return ObjectLibrary(names, np.stack(points).astype(np.float32))
