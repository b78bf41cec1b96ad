"""Make objects that pre-training moves through frames.

    python tools/preparation/make_objects.py --data data/NAME

Writes data/NAME/objects.npz: samples of the surfaces of random furniture, for
projects/four_d_contrast. Objects of your own, or of another seed, are written
with sam3d_plugin.store.object_library and never replaced.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.step_tool import tool_main
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.object_library import FILE, read_objects, write_objects
from sam3d_plugin.synthrooms.object_library import make_objects


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', required=True, help='folder of the data set')
    return parser.parse_args(argv)


def make(args: argparse.Namespace) -> None:
    """Make the objects."""
    path = Path(args.data) / FILE
    if not path.parent.is_dir():
        raise StoreError(f'{path.parent} is missing; make the data set first')
    library = make_objects(seed=0)
    if not path.exists():
        write_objects(path, library)
    elif not np.array_equal(read_objects(path).points, library.points):
        raise StoreError(f'{path} holds other objects than this tool makes: '
                         'keep it, or delete it and run the tool again')
    print(f'{path}: {len(library.names)} objects')


main = tool_main(parse_args, make)

if __name__ == '__main__':
    sys.exit(main())
