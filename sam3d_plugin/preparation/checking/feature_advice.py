"""Advice on 2D features before they are extracted."""
import json
from pathlib import Path


def geometry_advice(encoder: str, measured: Path) -> str:
    """How much of an encoder's features a network that sees xyz can learn.

    Args:
        encoder (str): Its name, as of ``extract_features.py --encoder``.
        measured (Path): File of ``tools/experiments/feature_geometry.py``.

    Returns:
        str: A sentence with the measured share, or how to measure it.
    """
    entries = json.loads(measured.read_text()) if measured.is_file() else {}
    for entry in entries.values():
        if entry['encoder'] == encoder:
            return (f'Shape, height and size of a region explain '
                    f'{entry["mlp"]:.0%} of the variance of {encoder} '
                    'features in SynthRooms; stage 1 hardly learns the rest, '
                    'such as paint.')
    return (f'How much of {encoder} features geometry explains, which is what '
            'stage 1 can learn, is not measured: run '
            'tools/experiments/feature_geometry.py after extraction.')
