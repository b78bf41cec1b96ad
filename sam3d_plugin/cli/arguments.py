"""Types and actions of command-line arguments; no slow imports."""
import argparse
import ast
import os
import re
import sys
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ..store.errors import UserError
from ..store.literals import literal_value
from .value_types import output_folder

# Where a dict begins: dict( or a brace, at the beginning or as an item; but
# the {seed} of tools/experiments/evaluate.py is a text.
_DICT = re.compile(r'(?<![^\s\[(,:=])(dict\(|\{(?!\w+\}))')
_LIST = re.compile(r'[\[(,]')
_WORDS = {
    'True': True,
    'true': True,
    'False': False,
    'false': False,
    'None': None
}

_HOME = re.compile(r'(--?[\w-]+=)(~.*)', re.DOTALL)


class ToolParser(argparse.ArgumentParser):
    """Parser of a tool.

    ``~`` is the home directory in ``--out=~/rooms`` too, where the shell
    leaves it. The text of the help keeps its lines.

    Args:
        description (Optional[str]): Text above the arguments.
        describe_options (Optional[Callable[[], str]]): Makes the text below
            them; called for ``--help`` only, since it may import.
        **kwargs (Any): As of ``argparse.ArgumentParser``.
    """

    def __init__(self,
                 description: Optional[str] = None,
                 describe_options: Optional[Callable[[], str]] = None,
                 **kwargs: Any) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs)
        self.describe_options = describe_options

    def parse_known_args(  # type: ignore[override]
            self,
            args: Optional[Sequence[str]] = None,
            namespace: Any = None) -> Tuple[Any, List[str]]:
        """Parse arguments after replacing the home directory in them."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args([_expand(str(a)) for a in given],
                                        namespace)

    def format_help(self) -> str:
        """The help, with the options of exchangeable parts."""
        if self.describe_options is not None:
            self.epilog = self.describe_options()
        return super().format_help()


def _expand(argument: str) -> str:
    found = _HOME.fullmatch(argument)
    if found:
        return found[1] + os.path.expanduser(found[2])
    return os.path.expanduser(argument)


class SettingAction(argparse.Action):
    """mmengine's KEY=VALUE options, for dicts and paths as well.

    A dict is written as in a config, ``dict(type='LN')``, or with braces;
    mmengine's own action fails on one with a comma. Blanks in a text are
    kept, and a leading ``~`` is the home directory.
    """

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: Optional[str] = None) -> None:
        """Parse options; say what is wrong in a sentence."""
        options = dict(getattr(namespace, self.dest) or {})
        for text in values:
            key, is_there, value = text.partition('=')
            try:
                if not is_there:
                    raise UserError('= is missing')
                options[key] = _parse_value(value)
            except (SyntaxError, ValueError, AssertionError) as error:
                raise argparse.ArgumentError(
                    self, f'{text}: write KEY=VALUE, and a dict as in a '
                    f'config, with quotes around texts ({error})') from error
        setattr(namespace, self.dest, options)


def _parse_value(text: str) -> Any:
    """Value of an option: a dict, a list, a number, a text."""
    if _DICT.search(text):
        return literal_value(ast.parse(text, mode='eval').body)
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in '\'"'
    if is_quoted and text[0] not in text[1:-1]:
        return text[1:-1]
    if _LIST.search(text) and not os.path.exists(text):
        from mmengine.config import DictAction
        return DictAction._parse_iterable(text)
    if text in _WORDS:
        return _WORDS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return os.path.expanduser(text)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing take."""
    parser.add_argument(
        '--work-dir',
        type=output_folder,
        help='where logs and checkpoints go (default: '
        'work_dirs/CONFIG)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='settings over those of the config, as key=value; data_root='
        'PATH moves everything in the old data root, teacher=FILE '
        'names the stage-1 checkpoint that stage 2 predicts')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how several processes are started (torchrun: pytorch)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from, not only its sentence')
