"""Command line options of the preparation tools."""
import argparse
import json
from typing import Any, Dict

from mmengine import fileio

from ..preparation.running.runs import RunOptions
from ..store.shards import parse_shard, shard_of_process
from .arguments import SettingAction
from .value_types import output_file


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


def run_options(args: argparse.Namespace) -> RunOptions:
    """Options of a run from the arguments of :func:`add_run_arguments`.

    StoreError when the shard is invalid.
    """
    shard = parse_shard(args.shard) if args.shard else shard_of_process()
    return RunOptions(
        shard, args.workers, args.backend_args, args.report, must_make=True)
