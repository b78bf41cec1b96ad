"""The disk format that preparation writes and datasets read."""
from .atomic import atomic_write
from .region_file import (MAX_REGION_ID, check_region_ids, encode_region_file,
                          hash_points, read_region_file, write_region_file)

__all__ = [
    'MAX_REGION_ID', 'atomic_write', 'check_region_ids', 'encode_region_file',
    'hash_points', 'read_region_file', 'write_region_file'
]
