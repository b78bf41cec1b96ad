"""Point operations for CPU and CUDA tensors, with mmcv's signatures.

On the CPU numba kernels and torch run, on a GPU mmcv's kernels, or torch and
Triton where mmcv has none; the device of the tensors decides at every call.
:func:`install` puts these functions in the place of mmcv's; importing a
package of components, as mmdet3d's registries do at their first lookup, calls
it.

``nms3d``, ``nms3d_normal`` and
``furthest_point_sample_with_dist`` are left out because VoteNet, GroupFree3D
and PointNet++ do not call them.
"""
from .boxes import points_in_boxes_all, points_in_boxes_part
from .giou import box_iou_rotated, paired_giou_3d, pairwise_giou_3d
from .grouping import gather_points, grouping_operation, three_interpolate
from .install import install
from .neighbors import ball_query, knn, three_nn
from .regions import (allocate_parts, segment_centers, segment_ids,
                      segment_max, sort_by_segment, split_segments)
from .sampling import furthest_point_sample

__all__ = [
    'allocate_parts', 'ball_query', 'box_iou_rotated', 'furthest_point_sample',
    'gather_points', 'grouping_operation', 'install', 'knn', 'paired_giou_3d',
    'pairwise_giou_3d', 'points_in_boxes_all', 'points_in_boxes_part',
    'segment_centers', 'segment_ids', 'segment_max', 'sort_by_segment',
    'split_segments', 'three_interpolate', 'three_nn'
]
