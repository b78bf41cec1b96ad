"""Command line options of the preparation tools."""
import argparse
import json
import sys
from typing import Any, Callable, Dict

from mmengine import fileio

from ...cli.arguments import SettingAction
from ...cli.interruption import report_interruption
from ...cli.value_types import output_file
from ...store.errors import FrameError, StoreError
from ...store.shards import parse_shard, shard_of_process
from .runs import RunOptions


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--shard`` and ``--backend-args``."""
    group = parser.add_argument_group(
        'running', 'Rerun the command to resume a stopped run.')
    group.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='processes that share the work; 0 uses the main one (default: '
        'one for each core)')
    group.add_argument(
        '--shard',
        metavar='I/N',
        help='process every N-th scan, starting with scan I >= 0 (default: '
        'everything, or the rank of torchrun or srun)')
    group.add_argument(
        '--backend-args',
        type=json_object,
        metavar='JSON',
        help='arguments of mmengine.fileio for paths in an object store, '
        'e.g. \'{"backend": "petrel"}\'')
    group.add_argument(
        '--report',
        type=output_file,
        metavar='FILE',
        help='write counts, seconds and skipped items as JSON')


def add_check_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--unchecked``."""
    parser.add_argument(
        '--unchecked',
        action='store_true',
        help='keep recordings whose frames disagree, or whose floor is not at '
        'the low end of z; problems are noted')


def add_option_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``-O key=value`` for the options of a generator or encoder."""
    parser.add_argument(
        '-O',
        '--option',
        dest='options',
        nargs='+',
        action=SettingAction,
        default={},
        metavar='KEY=VALUE',
        help=f'options of the {what}')


def json_object(text: str) -> Dict[str, Any]:
    """Arguments of a file backend from the command line."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'not valid JSON: {error}') from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('not a JSON object')
    try:
        fileio.get_file_backend(backend_args=value)
    except (KeyError, TypeError, ImportError) as error:
        raise argparse.ArgumentTypeError(
            f'mmengine.fileio has no such backend ({error!r})') from error
    return value


def explain_os_error(error: OSError) -> str:
    """One sentence naming the file and the error."""
    if error.filename is None:  # our own readers say it all
        return str(error.strerror or error)
    return f'{error.filename}: {(error.strerror or str(error)).lower()}'


def run_options(args: argparse.Namespace) -> RunOptions:
    """Options of a run from the arguments of :func:`add_run_arguments`.

    Args:
        args (argparse.Namespace): Parsed command line.

    Returns:
        RunOptions: For :func:`run_step`.

    Raises:
        StoreError: When the shard is none.
    """
    shard = parse_shard(args.shard) if args.shard else shard_of_process()
    return RunOptions(
        shard, args.workers, args.backend_args, args.report, must_make=True)


def run_main(function: Callable[[], None]) -> int:
    """Run a tool and report errors in one sentence.

    Args:
        function (Callable[[], None]): The work.

    Returns:
        int: Exit status: 0, 1 after an error, 130 after Ctrl-C.
    """
    try:
        function()
    except (FrameError, StoreError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        print(f'error: {explain_os_error(error)}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return report_interruption('; rerun the command to resume')
    return 0
