r"""Write lists of few labeled scans, for training with fewer labels.

    python tools/preparation/make_few_label_lists.py \
        data/scannet/scannet_infos_train.pkl
    python tools/preparation/make_few_label_lists.py \
        scannetv2_train.txt --out lists

The first writes scannet_infos_train_{1,5,10,20}.pkl beside the infos (SUN
RGB-D's and S3DIS's as well), which configs take as ann_file; the second names
alone. The protocol: scans in the order of the SHA-256 of SEED/NAME, of which
the first p percent, rounded, at least one. So a list depends on the names and
the seed alone, and holds every shorter list of its seed. Names end with
_seedN; lists of seed 0 are written without it, too. --seeds 0 1 2 writes what
tools/experiments/evaluate.py needs to give every training its own labels. An
existing list with other scans is not replaced.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import itertools
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.step_tool import tool_main
from sam3d_plugin.preparation.sources.scans import few_labels


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'sources', nargs='+', type=Path, help='infos (.pkl) or lists (.txt)')
    parser.add_argument(
        '--percentages',
        nargs='+',
        type=float,
        default=few_labels.PERCENTAGES,
        help='percentages of the scans (default: 1 5 10 20)')
    parser.add_argument(
        '--seeds',
        '--seed',
        nargs='+',
        type=int,
        default=[0],
        metavar='N',
        help='seeds, one list each (default: 0)')
    parser.add_argument(
        '--out', type=Path, help='folder of lists (default: beside theirs)')
    return parser.parse_args(argv)


def write(args: argparse.Namespace) -> None:
    """Write the lists."""
    for source, percentage, seed in itertools.product(args.sources,
                                                      args.percentages,
                                                      args.seeds):
        if source.suffix == '.txt':
            paths = few_labels.write_name_list(source, args.out
                                               or source.parent, percentage,
                                               seed)
        else:
            paths = few_labels.write_infos(source, percentage, seed)
        print(*paths, sep='\n')


main = tool_main(parse_args, write)

if __name__ == '__main__':
    sys.exit(main())
