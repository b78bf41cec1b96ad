"""How pure regions are: the paper's Figure 1 as numbers.

    python tools/experiments/region_purity.py \\
        --scannet DIR/scannet_scene0000 \\
        --synthrooms data/synth --json docs/results/region_purity.json

Purity is the share of points whose region's majority instance is theirs. A
point in no instance takes its class for one.

Of the real room: superpixels of its four frames, the published SAM groups, and
tokens without regions of the same number, on the same points: back-projected
pixels within 5 cm of a labeled vertex, which take its instance. The
published groups also on the whole scan. Tokens without regions are sampled
centers, each point with the nearest, or FPS + kNN neighborhoods, which share
points; their purity is of memberships.

Of SynthRooms, after generate_regions.py: regions of single frames, merged
over the frames by our rule and by SAM3D's, and the same from true masks.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.records import write_record
from sam3d_plugin.preparation.lifting.purity_study import (study_room,
                                                           study_synthrooms)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--scannet', type=Path, help='folder of the room')
    parser.add_argument('--synthrooms', type=Path, help='prepared SynthRooms')
    parser.add_argument('--limit', type=int, help='most scans of SynthRooms')
    add_options(parser, 'json')
    args = parser.parse_args(argv)
    if not (args.scannet or args.synthrooms):
        parser.error('give --scannet, --synthrooms or both')
    return args


def main(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    results: Dict[str, Any] = {}
    if args.scannet:
        results['scannet'] = study_room(args.scannet)
    if args.synthrooms:
        results['synthrooms'] = study_synthrooms(args.synthrooms, args.limit)
    print(json.dumps(results, indent=1))
    if args.json:
        write_record(Path(args.json), results)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
