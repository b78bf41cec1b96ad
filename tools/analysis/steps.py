"""Plain commands with the files they write, for tools that run several.

A step whose file is there is not run again, so a run that was broken off
goes on with the same command.
"""
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple

from mmengine.config import Config

from sam3d_plugin.engine.options import read_config

TRAIN, TEST = 'tools/train.py', 'tools/test.py'


class Step(NamedTuple):
    """One command.

    Attributes:
        command (List[str]): As typed, ``python`` first.
        output (str): What it leaves behind when it has finished.
    """

    command: List[str]
    output: str

    @property
    def is_done(self) -> bool:
        """bool: Whether the output is there."""
        return Path(self.output).is_file()

    def __str__(self) -> str:
        return shlex.join(self.command)


def run_steps(steps: Iterable[Step]) -> None:
    """Run what has not been run, and show it.

    Args:
        steps (Iterable[Step]): In order.

    Raises:
        SystemExit: When a command fails, or leaves no output.
    """
    for step in steps:
        if step.is_done:
            print(f'# done: {step.output}', flush=True)
            continue
        print(f'$ {step}', flush=True)
        status = subprocess.call([sys.executable, *step.command[1:]])
        if status or not step.is_done:
            raise SystemExit(
                f'stopped: {step.command[1]} left no {step.output} (status '
                f'{status}); mend what it says and give the same command '
                'again, which goes on from there')


def training(config: str, work_dir: str, options: Dict[str, Any]) -> Step:
    """A training, taken up where it was broken off.

    Args:
        config (str): The config file.
        work_dir (str): Where its checkpoints go.
        options (Dict[str, Any]): For ``--cfg-options``.

    Returns:
        Step: Its output is the last checkpoint.
    """
    command = ['python', TRAIN, config, '--work-dir', work_dir, '--resume']
    cfg = read_config(config, options)
    return Step(command + option_list(options),
                f'{work_dir}/{last_checkpoint(cfg)}')


def last_checkpoint(cfg: Config) -> str:
    """Name of the file that a training of this config ends with.

    Args:
        cfg (Config): With ``train_cfg``.

    Returns:
        str: As mmengine's checkpoint hook names it.
    """
    length: Any = cfg.train_cfg
    if length.get('max_iters'):
        return f'iter_{length["max_iters"]}.pth'
    return f'epoch_{length["max_epochs"]}.pth'


def option_list(options: Dict[str, Any]) -> List[str]:
    """Write options as ``--cfg-options`` takes them.

    Args:
        options (Dict[str, Any]): Values by key.

    Returns:
        List[str]: Arguments, none for no options.
    """
    pairs = [f'{key}={option_text(value)}' for key, value in options.items()]
    return ['--cfg-options', *pairs] if pairs else []


def option_text(value: Any) -> str:
    """Write the value of an option; a dict as configs write it.

    Args:
        value (Any): Text, number or dict.

    Returns:
        str: For the command line.
    """
    return _literal(value) if isinstance(value, dict) else str(value)


def _literal(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)
    return f'dict({", ".join(f"{k}={_literal(v)}" for k, v in value.items())})'
