"""Region generators by name."""
from typing import Any, Dict, Mapping, Tuple

from ...running.named_parts import build_by_name
from .base import (MAX_REGIONS, OVERLAP_RULES, RegionGenerator, merge_masks,
                   number_regions)

__all__ = [
    'GENERATORS', 'MAX_REGIONS', 'OVERLAP_RULES', 'RegionGenerator',
    'build_generator', 'merge_masks', 'number_regions'
]

# Module and class; imported only when asked for, since SAM's is expensive.
GENERATORS: Dict[str, Tuple[str, str]] = dict(
    superpixel=('superpixel', 'SuperpixelRegions'),
    sam=('sam', 'SAMRegions'),
    sam2=('sam_transformers', 'SAM2Regions'),
    sam3=('sam_transformers', 'SAM3Regions'),
    precomputed=('precomputed', 'PrecomputedRegions'))


def build_generator(name: str, options: Mapping[str, Any]) -> RegionGenerator:
    """Build a generator; StoreError for unknown names and options."""
    return build_by_name('region generator', GENERATORS, __name__, name,
                         options)
