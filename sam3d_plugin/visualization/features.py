"""Colors of features: alike where the features are.

Shapes: N items, C channels.
"""
import numpy as np


def pca_colors(features: np.ndarray) -> np.ndarray:
    """Paint features (N, C) by their three principal components.

    Returns (N, 3) uint8; red is the first component, and one without variance
    is mid-gray everywhere. Equal input gives equal colors: every component
    points to where its channel of largest weight grows.
    """
    centered = np.asarray(features, dtype=np.float64)
    centered = centered - centered.mean(axis=0)
    _, scales, axes = np.linalg.svd(centered, full_matrices=False)
    is_used = scales[:3] > 1e-9 * max(scales[0], 1e-9)
    axes = axes[:3][is_used]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    parts = centered @ axes.T
    low, high = np.percentile(parts, (2, 98), axis=0)
    colors = np.full((len(centered), 3), 128, dtype=np.uint8)
    span = np.where(high > low, high - low, 1)
    scaled = ((parts - low) / span).clip(0, 1)
    colors[:, :len(axes)] = (255 * scaled).round().astype(np.uint8)
    return colors


def explained_share(features: np.ndarray, count: int) -> float:
    """How much of the variance the largest principal components hold.

    Args:
        features (np.ndarray): (N, C), N >= 1.
        count (int): How many components.

    Returns:
        float: From 0 to 1; 1 when there is no variance.
    """
    values = np.asarray(features, dtype=np.float64)
    energy = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)**2
    return float(energy[:count].sum() / energy.sum()) if energy.sum() else 1.0
