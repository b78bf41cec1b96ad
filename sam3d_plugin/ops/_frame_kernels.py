"""The CPU kernels of RGB-D segmentation: numpy arrays in and out.

Shapes: H W pixels, E edges between neighboring pixels.
"""
import numpy as np

from ._numba import jit

# Weights of edges in 1/256 of a unit, so that they sort as integers.
STEPS_PER_UNIT = 256
_LARGEST = 65535


@jit
def depth_normals(depth: np.ndarray, intrinsics: np.ndarray, radius: int,
                  stride: int, tolerance: float) -> np.ndarray:
    """Fit a plane to every pixel's window; (H, W, 3) float32.

    The inverse depth of a plane is linear in the pixel, so that its fit is a
    regression of two unknowns. Pixels of a window whose inverse depth
    deviates by more than the share ``tolerance`` are on another surface.
    Normals have length 1 and point at the camera; 0 where there is no depth
    or too little of it.
    """
    height, width = depth.shape
    normals = np.zeros((height, width, 3), np.float32)
    for v in range(height):
        for u in range(width):
            if depth[v, u] <= 0:
                continue
            slope_u, slope_v, center, is_found = _fit_inverse_depth(
                depth, v, u, radius, stride, tolerance)
            if not is_found:
                continue
            x = slope_u * intrinsics[0, 0]
            y = slope_v * intrinsics[1, 1]
            z = (
                center + slope_u * (intrinsics[0, 2] - u) + slope_v *
                (intrinsics[1, 2] - v))
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0:
                normals[v, u, 0] = -x / length
                normals[v, u, 1] = -y / length
                normals[v, u, 2] = -z / length
    return normals


@jit
def _fit_inverse_depth(depth, v, u, radius, stride, tolerance):
    """Slopes along u and v, value at the pixel, and whether they exist."""
    own = 1 / depth[v, u]
    n, su, sv, sd = 0., 0., 0., 0.
    suu, suv, svv, sud, svd = 0., 0., 0., 0., 0.
    for dv in range(-radius, radius + 1, stride):
        y = v + dv
        if y < 0 or y >= depth.shape[0]:
            continue
        for du in range(-radius, radius + 1, stride):
            x = u + du
            if x < 0 or x >= depth.shape[1] or depth[y, x] <= 0:
                continue
            d = 1 / depth[y, x] - own
            if abs(d) > tolerance * own:
                continue
            n += 1
            su += du
            sv += dv
            sd += d
            suu += du * du
            suv += du * dv
            svv += dv * dv
            sud += du * d
            svd += dv * d
    if n < 6:
        return 0., 0., 0., False
    suu -= su * su / n
    suv -= su * sv / n
    svv -= sv * sv / n
    sud -= su * sd / n
    svd -= sv * sd / n
    determinant = suu * svv - suv * suv
    if determinant < 1e-6:
        return 0., 0., 0., False
    slope_u = (sud * svv - svd * suv) / determinant
    slope_v = (svd * suu - sud * suv) / determinant
    return (slope_u, slope_v, own + (sd - slope_u * su - slope_v * sv) / n,
            True)


@jit
def _surface_step(xyz, normals, v, u, y, x, depth_weight, normal_weight):
    """Gap between the surfaces of two pixels; 0 without depth."""
    near = min(xyz[v, u, 2], xyz[y, x, 2])
    if near <= 0:
        return 0.
    dot, first, second = 0., 0., 0.
    has_first, has_second = False, False
    for i in range(3):
        offset = xyz[y, x, i] - xyz[v, u, i]
        dot += normals[v, u, i] * normals[y, x, i]
        first += normals[v, u, i] * offset
        second += normals[y, x, i] * offset
        has_first |= normals[v, u, i] != 0
        has_second |= normals[y, x, i] != 0
    # The noise of depth cameras grows with the square of the depth.
    scale = depth_weight / (near * near)
    if not (has_first and has_second):
        return scale * abs(xyz[v, u, 2] - xyz[y, x, 2])
    # A step off both tangent planes, however slanted they are.
    step = min(abs(first), abs(second))
    return scale * step + normal_weight * (1 - dot)


@jit
def pixel_edges(lab: np.ndarray, xyz: np.ndarray, normals: np.ndarray,
                depth_weight: float, normal_weight: float):
    """Edges to the 8 neighbors: two nodes (E,) int32, weights uint16."""
    height, width = lab.shape[:2]
    count = 4 * height * width
    sources = np.empty(count, np.int32)
    targets = np.empty(count, np.int32)
    weights = np.empty(count, np.uint16)
    edge = 0
    for v in range(height):
        for u in range(width):
            for k in range(4):
                y = v + (k > 0)
                x = u + (1 if k == 0 else k - 2)
                if y >= height or x < 0 or x >= width:
                    continue
                color = 0.
                for i in range(3):
                    color += (lab[v, u, i] - lab[y, x, i])**2
                surface = _surface_step(xyz, normals, v, u, y, x, depth_weight,
                                        normal_weight)
                weight = np.sqrt(color + surface * surface)
                sources[edge] = v * width + u
                targets[edge] = y * width + x
                weights[edge] = min(_LARGEST, weight * STEPS_PER_UNIT)
                edge += 1
    return sources[:edge], targets[:edge], weights[:edge]
