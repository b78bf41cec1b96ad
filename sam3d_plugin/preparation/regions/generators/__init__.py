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
    precomputed=('precomputed', 'PrecomputedRegions'))


def build_generator(name: str, options: Mapping[str, Any]) -> RegionGenerator:
    """Build a generator by its name.

    Args:
        name (str): One of ``GENERATORS``.
        options (Mapping[str, Any]): Arguments of its constructor.

    Returns:
        RegionGenerator: With nothing loaded yet.

    Raises:
        StoreError: When there is no such generator, it has no such option, a
            needed one is missing, or a value cannot be used.
    """
    return build_by_name('region generator', GENERATORS, __name__, name,
                         options)
