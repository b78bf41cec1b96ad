"""Train and evaluate an arm with several seeds: one JSON file per run.

    python tools/experiments/evaluate.py CONFIG --out results/ARM --seeds 0 1 2

trains CONFIG once per seed (tools/train.py), evaluates each training
--evaluations times (tools/test.py), every time with other sampled points, and
writes results/ARM/seed_S.json: the scores of the last epoch and, where the
schedule validates more than once, of the best on the validation scans, which
is an optimistic choice; with commit, checksums of config, data and encoder,
hardware and time, and results/ARM/row.json, their row for the board
(docs/results/board.md). Finished evaluations are skipped: rerun the command to
resume. A work directory that holds a training of other settings or data is
refused. Checkpoints that exist already:

    python tools/experiments/evaluate.py CONFIG --out results/ARM --seeds 0 1 \
        --checkpoints work_dirs/a/epoch_80.pth work_dirs/b/epoch_80.pth

In the value of an option {seed} stands for the seed, so that every training
may start from the pre-training of the same seed, or take its own list of few
labels (train_dataloader...ann_file=scannet_infos_train_10_seed{seed}.pkl).
tools/experiments/compare.py prints arms side by side.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.experiment_arguments import add_options
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.experiments.evaluation_runs import run as main


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config of a detector or segmentor')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of the arm')
    parser.add_argument(
        '--arm', help='its name in tables (default: that of the folder)')
    parser.add_argument(
        '--evaluations',
        type=int,
        default=1,
        metavar='N',
        help='evaluations of each training (default: %(default)s)')
    parser.add_argument(
        '--checkpoints',
        nargs='+',
        metavar='FILE',
        help='evaluate these, one per seed, and train nothing')
    parser.add_argument(
        '--best',
        metavar='METRIC',
        help='metric that chooses the best epoch (default: mAP_0.25 or miou)')
    add_options(parser, 'seeds', 'work_dir', 'cfg_options')
    args = parser.parse_args(argv)
    args.arm = args.arm or args.out.name
    args.work_dir = args.work_dir or Path('work_dirs', 'evaluate', args.arm)
    if args.checkpoints and len(args.checkpoints) != len(args.seeds):
        parser.error(f'{len(args.checkpoints)} --checkpoints came with '
                     f'{len(args.seeds)} --seeds; name one seed for each')
    if args.evaluations < 1 or len(set(args.seeds)) < len(args.seeds):
        parser.error('--evaluations starts at 1, and --seeds differ')
    return args


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
