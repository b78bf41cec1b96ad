"""What comes with the package: a small encoder and detector (README.md), which
``tools/experiments/release.py`` writes, configs and tools.
"""
from pathlib import Path

FOLDER = Path(__file__).parent
ENCODER = str(FOLDER / 'encoder')
CONFIG = str(FOLDER / 'detector.json')
DETECTOR = str(FOLDER / 'detector.safetensors')
# Configs, projects and tools: links to the repository's folders; in an
# installed package, copies.
FILES = FOLDER.resolve().parent / '.mim'
