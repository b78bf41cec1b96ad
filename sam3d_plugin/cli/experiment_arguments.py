"""Options that many tools of experiments take."""
import argparse
from pathlib import Path
from typing import Any, Dict

from .arguments import SettingAction
from .value_types import device_name, output_file

OPTIONS: Dict[str, Dict[str, Any]] = dict(
    json=dict(type=output_file, metavar='FILE', help='write the results here'),
    work_dir=dict(type=Path, metavar='DIR', help='where trainings go'),
    seeds=dict(nargs='+', type=int, default=[0, 1, 2], help='one run each'),
    device=dict(
        type=device_name, help='default: cuda if there is one, else cpu'),
    cfg_options=dict(
        nargs='+',
        action=SettingAction,
        default={},
        metavar='KEY=VALUE',
        help='further settings of the configs'),
    traceback=dict(
        action='store_true',
        help='show where an error came from, not only its sentence'))


def add_options(parser: argparse.ArgumentParser, *names: str,
                **defaults: Any) -> None:
    """Add some of ``OPTIONS``, and ``--traceback``.

    Args:
        parser (argparse.ArgumentParser): Receives them.
        *names (str): Options without a default of the tool.
        **defaults (Any): Options with one, shown in the help; ``...`` is for
            one that must be given.
    """
    for name in (*names, *defaults, 'traceback'):
        settings = dict(OPTIONS[name])
        if defaults.get(name) is ...:
            settings['required'] = True
        elif name in defaults:
            settings['default'] = defaults[name]
            settings['help'] += ' (default: %(default)s)'
        parser.add_argument(f'--{name.replace("_", "-")}', **settings)
