from .maskpoint import CrossAttentionDecoder, MaskPoint, OccupancyHead
