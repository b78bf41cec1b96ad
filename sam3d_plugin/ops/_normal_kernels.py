"""The CPU kernels of normals and graphs of point clouds.

Shapes: N points, K neighbors, E edges.
"""
import numpy as np

from ._numba import jit


@jit
def neighborhood_covariances(xyz: np.ndarray,
                             neighbors: np.ndarray) -> np.ndarray:
    """Covariance (N, 3, 3) of each point's neighborhood (N, K)."""
    num_points, num_neighbors = neighbors.shape
    covariances = np.zeros((num_points, 3, 3))
    for n in range(num_points):
        mean = np.zeros(3)
        for k in range(num_neighbors):
            for i in range(3):
                mean[i] += xyz[neighbors[n, k], i] - xyz[n, i]
        mean /= num_neighbors
        for k in range(num_neighbors):
            for i in range(3):
                first = xyz[neighbors[n, k], i] - xyz[n, i] - mean[i]
                for j in range(3):
                    second = xyz[neighbors[n, k], j] - xyz[n, j] - mean[j]
                    covariances[n, i, j] += first * second
    return covariances / num_neighbors


@jit
def point_edges(xyz: np.ndarray, normals: np.ndarray, lab: np.ndarray,
                neighbors: np.ndarray, step_weight: float,
                normal_weight: float, color_weight: float):
    """Edges to the neighbors: two nodes (E,) int64, weights (E,).

    A pair that is in both neighborhoods gives one edge.
    """
    num_points, num_neighbors = neighbors.shape
    sources = np.empty(num_points * num_neighbors, np.int64)
    targets = np.empty(num_points * num_neighbors, np.int64)
    weights = np.empty(num_points * num_neighbors, np.float64)
    edge = 0
    for a in range(num_points):
        for b in neighbors[a]:
            if a == b or (b < a and (neighbors[b] == a).any()):
                continue
            color, dot, first, second, length = 0., 0., 0., 0., 0.
            for i in range(3):
                offset = xyz[b, i] - xyz[a, i]
                length += offset * offset
                dot += normals[a, i] * normals[b, i]
                first += normals[a, i] * offset
                second += normals[b, i] * offset
                color += (lab[a, i] - lab[b, i])**2
            step = 0.
            if length > 0:
                step = min(abs(first), abs(second)) / np.sqrt(length)
            surface = step_weight * step + normal_weight * (1 - abs(dot))
            sources[edge] = a
            targets[edge] = b
            weights[edge] = np.sqrt(color_weight**2 * color +
                                    surface * surface)
            edge += 1
    return sources[:edge], targets[:edge], weights[:edge]
