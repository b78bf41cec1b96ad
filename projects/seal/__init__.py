from .seal import Seal
from .segments import match_segments, point_to_segment, segment_means
