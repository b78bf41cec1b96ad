"""A small encoder and detector that come with the package (README.md).

``tools/experiments/release.py`` writes them.
"""
from pathlib import Path

FOLDER = Path(__file__).parent
ENCODER = str(FOLDER / 'encoder')
CONFIG = str(FOLDER / 'detector.json')
DETECTOR = str(FOLDER / 'detector.safetensors')
