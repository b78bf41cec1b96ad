"""What the tools of preparation share."""
import argparse
from typing import Any, Callable, List, Optional, Sequence, Tuple

from rich.console import Console

from ..preparation.running.frame_steps import FrameStep
from ..preparation.running.runs import run_step
from ..store.files import join
from .arguments import ToolParser
from .run_arguments import add_run_arguments, run_options
from .tool import PREPARATION, run_tool

Main = Callable[..., int]


class DataParser(ToolParser):
    """Parser of a tool that adds a folder to a data set.

    Args:
        description (str): Text above the arguments.
        out (str): Default of ``--out``, inside the data set; '' is the data
            set itself.
        **kwargs (Any): As of :class:`ToolParser`.
    """

    def __init__(self, description: str, out: str, **kwargs: Any) -> None:
        super().__init__(description, **kwargs)
        self.folder = out
        self.add_argument(
            '--data', required=True, metavar='DIR', help='data set')
        self.add_argument(
            '--out',
            metavar='DIR',
            help='folder to write (default: '
            f'{out + " in " if out else ""}the data set)')

    def parse_known_args(  # type: ignore[override]
            self,
            args: Optional[Sequence[str]] = None,
            namespace: Any = None) -> Tuple[Any, List[str]]:
        """Parse arguments; ``out`` is always a folder."""
        found, rest = super().parse_known_args(args, namespace)
        if not found.out:
            folder = self.folder
            found.out = join(found.data, folder) if folder else found.data
        return found, rest


def source_parser(description: str, out: str = '') -> ToolParser:
    """Parser with ``--source`` and ``--out``, for makers of data sets."""
    parser = ToolParser(description)
    parser.add_argument(
        '--source', required=True, metavar='DIR', help='what is read')
    parser.add_argument(
        '--out',
        required=not out,
        default=out,
        metavar='DIR',
        help='folder to write' + (f' (default: {out})' if out else ''))
    return parser


def tool_main(parse_args: Callable[[Optional[Sequence[str]]],
                                   argparse.Namespace],
              work: Callable[[argparse.Namespace], Optional[int]]) -> Main:
    """``main`` of a tool of preparation.

    It takes the command line and returns the exit status: 0, or 1 after one
    sentence on what is wrong.
    """

    def main(argv: Optional[Sequence[str]] = None) -> int:
        return run_tool(work, parse_args(argv), PREPARATION)

    return main


def step_main(parse_args: Callable[[Optional[Sequence[str]]],
                                   argparse.Namespace],
              build_step: Callable[[argparse.Namespace], FrameStep]) -> Main:
    """``main`` of a tool that runs one step."""

    def work(args: argparse.Namespace) -> None:
        run_step(build_step(args), args.out, run_options(args))

    return tool_main(parse_args, work)


def plain_console() -> Console:
    """Console for lines that are not wrapped, colored or parsed."""
    return Console(soft_wrap=True, markup=False, highlight=False)


__all__ = [
    'DataParser', 'add_run_arguments', 'plain_console', 'run_options',
    'source_parser', 'step_main', 'tool_main'
]
