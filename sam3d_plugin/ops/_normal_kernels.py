"""Normals and graphs of point clouds: numpy arrays in and out.

Shapes: N points, K neighbors, E edges.
"""
import numpy as np


def neighborhood_covariances(xyz: np.ndarray,
                             neighbors: np.ndarray) -> np.ndarray:
    """Covariance (N, 3, 3) of each point's neighborhood (N, K)."""
    offsets = xyz[neighbors] - xyz[:, None]
    offsets = offsets - offsets.mean(axis=1, keepdims=True)
    return offsets.swapaxes(1, 2) @ offsets / neighbors.shape[1]


def point_edges(xyz: np.ndarray, normals: np.ndarray, lab: np.ndarray,
                neighbors: np.ndarray, step_weight: float,
                normal_weight: float, color_weight: float):
    """Edges to the neighbors: two nodes (E,) int64, weights (E,).

    A pair that is in both neighborhoods gives one edge.
    """
    a = np.repeat(np.arange(len(xyz)), neighbors.shape[1])
    b = neighbors.reshape(-1)
    keys = np.minimum(a, b) * len(xyz) + np.maximum(a, b)
    first = np.sort(np.unique(keys, return_index=True)[1])
    first = first[a[first] != b[first]]
    a, b = a[first], b[first]
    offset = xyz[b] - xyz[a]
    length = np.linalg.norm(offset, axis=1)
    # Off both tangent planes, however slanted they are.
    step = np.minimum(
        abs((normals[a] * offset).sum(1)), abs((normals[b] * offset).sum(1)))
    step /= np.where(length > 0, length, 1)
    dot = (normals[a] * normals[b]).sum(1)
    surface = step_weight * step + normal_weight * (1 - abs(dot))
    color = color_weight * np.linalg.norm(lab[a] - lab[b], axis=1)
    return a, b, np.hypot(color, surface)
