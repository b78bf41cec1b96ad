"""Measure a part of this repository on this machine.

    python tools/benchmark.py ops --json docs/results/benchmark_ops.json

Parts; ``benchmark.py PART --help`` says what each measures and how:

    ops          point operations beside plain torch and the fastest library
    downstream   training step and prediction of detectors and segmentors
    pretraining  parts of a pre-training step; padding and masking
    loader       frames per second of the data loader of pre-training
    busy         a training step beside processes that keep the cores busy
    preparation  extracting .sens files, pooling features, merging manifests
    lifting      lifting regions of frames to the points of a scan
    sam          SAM regions beside the stock generator
    prompts      prompts that object-aware SAM saves, and masks it loses
    voxels       sparse convolutions and training steps of sparse U-Nets

The figures are printed, with the hardware, the versions and the commit.
tools/benchmarks/gpu_check.py checks and measures everything on a GPU.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import sys
from importlib import import_module
from pathlib import Path
from typing import Optional, Sequence

# Lets a script started as a file find the parts beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sam3d_plugin.cli.arguments import ToolParser
from tools.benchmarks import measuring

PARTS = ('ops', 'downstream', 'pretraining', 'loader', 'busy', 'preparation',
         'lifting', 'sam', 'prompts', 'voxels')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure the part that the first word names."""
    words = list(sys.argv[1:] if argv is None else argv)
    chooser = ToolParser(__doc__)
    chooser.add_argument('part', choices=PARTS)
    name = chooser.parse_args(words[:1]).part
    part = import_module(f'tools.benchmarks.{name}')
    parser = ToolParser(part.__doc__, prog=f'benchmark.py {name}')
    measuring.add_arguments(parser)
    part.add_arguments(parser)
    args = parser.parse_args(words[1:])
    args.words = words
    load = measuring.load_of_machine()
    measuring.write(part.measure(args), args, load_before=load)


if __name__ == '__main__':
    main()
