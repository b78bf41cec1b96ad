"""Graph-based segmentation of anything with weighted neighborhoods.

Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation",
IJCV 2004. scikit-image has it for images only; here the nodes may be pixels,
points or regions.

Shapes: N nodes, E edges.
"""
from typing import Optional

import numpy as np

from ..store.errors import UserError
from . import _graph_kernels as kernels


def segment_graph(sources: np.ndarray,
                  targets: np.ndarray,
                  weights: np.ndarray,
                  num_nodes: int,
                  scale: float,
                  min_size: int = 1,
                  sizes: Optional[np.ndarray] = None) -> np.ndarray:
    """Cut a graph where an edge is heavier than what it would join.

    Edges are taken by weight, equal ones by index. An edge joins two
    segments unless it weighs more than the heaviest edge inside either of
    them plus ``scale`` / the segment's size. Afterwards, by the same order,
    segments smaller than ``min_size`` join their neighbors; one without any
    edge to another stays. The result depends on nothing but the arguments.

    Args:
        sources (np.ndarray): (E,) node of each edge, in [0, N).
        targets (np.ndarray): (E,) its other node; direction is meaningless.
        weights (np.ndarray): (E,) not negative. uint16 weights are sorted
            several times faster than others.
        num_nodes (int): N.
        scale (float): Larger for larger segments, in units of weight × size.
        min_size (int): Smallest segment that has neighbors.
        sizes (Optional[np.ndarray]): (N,) size of each node; None counts
            each as 1.

    Returns:
        np.ndarray: (N,) int64 labels 0..S-1 in the order of the segments'
        first nodes.

    Raises:
        ValueError: When arrays disagree in length, an edge names a node
            outside the graph, or a weight is NaN or negative.
    """
    if not len(sources) == len(targets) == len(weights):
        raise UserError(f'{len(sources)} sources, {len(targets)} targets and '
                        f'{len(weights)} weights; give one each per edge')
    if sizes is not None and len(sizes) != num_nodes:
        raise UserError(f'{len(sizes)} sizes for {num_nodes} nodes')
    for nodes in (sources, targets):
        if len(nodes) and not 0 <= nodes.min() <= nodes.max() < num_nodes:
            raise UserError(f'edges name nodes {nodes.min()} to '
                            f'{nodes.max()} of a graph of {num_nodes}')
    if len(weights) and not weights.min() >= 0:
        raise UserError('a weight is NaN or negative')
    if sizes is None:
        node_sizes = np.ones(num_nodes, np.int64)
    else:
        node_sizes = np.array(sizes, dtype=np.int64)
    # numpy's stable sort is a radix sort for 16-bit integers.
    order = np.argsort(weights, kind='stable')
    return kernels.segment_edges(sources, targets, weights, order, node_sizes,
                                 float(scale), min_size)
