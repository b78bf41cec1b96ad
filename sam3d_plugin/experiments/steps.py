"""Commands that run one after the other, each until its output is there.

What a tool that runs other tools needs: every command is printed as a user
would type it, what is done is not done again, and a failing step stops the
rest. A :class:`Record` also keeps what the steps took, across a kill.
"""
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import struct_rusage
from typing import (TYPE_CHECKING, Any, Dict, List, NoReturn, Optional,
                    Sequence, Tuple)

from .. import shipped
from ..store.atomic import atomic_write
from ..store.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

RECORD = 'steps.json'
TRAIN, TEST = 'tools/train.py', 'tools/test.py'
INTERRUPTED = 130
_RUNNERS: Dict[str, List[str]] = dict(
    python=[], torchrun=['-m', 'torch.distributed.run'])


@dataclass(frozen=True)
class Command:
    """One command."""
    command: List[str]  # As typed, ``python`` or ``torchrun`` first
    output: str  # File that is there when it has finished
    title: str = ''  # For people; the output where there is none
    purpose: str = ''  # A sentence on what it is for

    @property
    def is_done(self) -> bool:
        """bool: Whether the output is there."""
        return Path(self.output).is_file()

    @property
    def name(self) -> str:
        """str: Tells it from other steps."""
        return self.title or self.output

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass
class Cost:
    """What a step took; one that was stopped adds up."""
    title: str  # Name of the step
    command: str  # As printed
    seconds: float = 0.0  # Wall clock
    cpu_s: float = 0.0  # Of all its processes on all cores, seconds
    peak_mb: float = 0.0  # Largest resident size of one of its processes
    is_done: bool = False  # Whether it ended well


class Record:
    """What the steps took, in a file of the work directory.

    Args:
        work_dir (str): The work directory.
        settings (Dict[str, Any]): That the results depend on.
        machine (Dict[str, Any]): Where it runs, for the report.

    Raises:
        SystemExit: When the directory was made with other settings.
    """

    def __init__(self, work_dir: str, settings: Dict[str, Any],
                 machine: Dict[str, Any]) -> None:
        self.path = Path(work_dir, RECORD)
        self.settings, self.machine = settings, machine
        self.costs: Dict[str, Cost] = {}
        if self.path.exists():
            self.costs, old = self._read()
            changed = [
                key for key in settings if old.get(key) != settings[key]
            ]
            if changed:
                raise SystemExit(
                    f'error: {work_dir} was made with {changed[0]} '
                    f'{old.get(changed[0])}, now it is '
                    f'{settings[changed[0]]}: remove the folder, or choose '
                    'another --work-dir (make quickstart WORK=DIR)')

    def _read(self) -> Tuple[Dict[str, Cost], Dict[str, Any]]:
        try:
            content = json.loads(self.path.read_text())
            costs = [Cost(**cost) for cost in content['steps']]
            return {cost.title: cost for cost in costs}, content['settings']
        except (ValueError, TypeError, KeyError) as error:
            raise SystemExit(f'error: {self.path} is damaged, or of another '
                             f'version ({error}): remove it; finished work '
                             'is found again quickly') from error

    def of(self, step: Command) -> Cost:
        """The cost of a step so far."""
        return self.costs.setdefault(step.name, Cost(step.name, str(step)))

    def forget(self, steps: Sequence[Command]) -> None:
        """Drop what steps took that have to be run again."""
        for step in steps:
            if step.name in self.costs and self.of(step).is_done:
                self.costs[step.name] = Cost(step.name, str(step))

    def add(self, step: Command, seconds: float, usage: struct_rusage,
            is_done: bool) -> Cost:
        """Add what a command took, and write all that is known.

        Args:
            step (Command): The step.
            seconds (float): Wall clock.
            usage (struct_rusage): Of its processes.
            is_done (bool): Whether it ended well.

        Returns:
            Cost: What it took so far.
        """
        cost = self.of(step)
        cost.command, cost.is_done = str(step), is_done
        cost.seconds += seconds
        cost.cpu_s += usage.ru_utime + usage.ru_stime
        cost.peak_mb = max(cost.peak_mb, usage.ru_maxrss / 1024)
        self.write(self.path)
        return cost

    def write(self, path: Path, **more: Any) -> None:
        """Write all that is known, and ``more`` by its keys."""
        with atomic_write(path, 'w') as file:
            json.dump(
                dict(
                    settings=self.settings,
                    machine=self.machine,
                    steps=[asdict(cost) for cost in self.costs.values()],
                    **more),
                file,
                indent=1)


class Console:
    """What is said of the steps: all, and the commands say the rest."""

    # Of the ``subprocess.Popen`` that runs a command
    options: Dict[str, Any] = {}

    def skip(self, steps: Sequence[Command], number: int) -> None:
        """A step, counted from 1, was done before."""
        name = steps[number - 1].name
        print(f'\n== {number}/{len(steps)} {name}: done before', flush=True)

    def begin(self, steps: Sequence[Command], number: int) -> None:
        """A step, counted from 1, is about to run."""
        step = steps[number - 1]
        purpose = f'. {step.purpose}' if step.purpose else ''
        print(
            f'\n== {number}/{len(steps)} {step.name}{purpose}\n$ {step}',
            flush=True)

    def end(self, cost: Cost) -> None:
        """A step of a record has ended, well or not."""
        print(f'   {cost.seconds:.0f} s, {cost.peak_mb:,.0f} MB', flush=True)

    def fail(self) -> None:
        """A command failed: its message is the last on the screen."""


def command(text: str, **values: Any) -> List[str]:
    """A command of this Python, whose words may have {places} for values."""
    return ['python', *(word.format(**values) for word in text.split())]


def run_steps(steps: Sequence[Command],
              record: Optional[Record] = None,
              environment: Optional[dict] = None,
              console: Optional[Console] = None) -> None:
    """Run what is not done; with a record, everything after it, too.

    Args:
        steps (Sequence[Command]): In their order.
        record (Optional[Record]): Updated after every step. Without one, a
            step is done when its output is there.
        environment (Optional[dict]): Of the commands. Defaults to
            that of this process.
        console (Optional[Console]): What is said of the steps. Defaults to
            everything.

    Raises:
        SystemExit: When a command fails, leaves no output, or the user
            interrupts it.
    """
    is_fresh = True
    console = console or Console()
    for number, step in enumerate(steps, 1):
        is_known = record is None or (is_fresh and record.of(step).is_done)
        if step.is_done and is_known:
            console.skip(steps, number)
            continue
        if record is not None and is_fresh:
            record.forget(steps[number - 1:])
        is_fresh = False
        console.begin(steps, number)
        begin = time.monotonic()
        status, usage = run_command(step.command, environment,
                                    **console.options)
        is_done = status == 0 and step.is_done
        if record is not None:
            seconds = time.monotonic() - begin
            console.end(record.add(step, seconds, usage, is_done))
        if not is_done:
            if status != INTERRUPTED:
                console.fail()
            stop(step, status)


def run_command(command: List[str],
                environment: Optional[dict] = None,
                **options: Any) -> Tuple[int, struct_rusage]:
    """Run a command that stands for one of this Python.

    Tools are those of this package, whatever the current folder is.

    Returns the exit status, negative after a signal and 130 when the user
    interrupted; what it and the processes that it waited for have used.
    """
    words = [
        str(shipped.FILES / word) if word.startswith('tools/') else word
        for word in command[1:]
    ]
    child = subprocess.Popen([sys.executable, *_RUNNERS[command[0]], *words],
                             env=environment,
                             **options)
    is_interrupted = False
    while child.returncode is None:
        try:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except KeyboardInterrupt:
            # The terminal has told the command, too: it is about to end.
            is_interrupted = True
    return INTERRUPTED if is_interrupted else child.returncode, usage


def stop(step: Command, status: int) -> NoReturn:
    """Say which step failed and how to resume.

    Args:
        step (Command): The step.
        status (int): Its exit status, negative after a signal.

    Raises:
        SystemExit: Always.
    """
    if status == INTERRUPTED:
        print(
            '\nerror: interrupted; rerun the command to resume',
            file=sys.stderr)
        raise SystemExit(status)
    how = f'ended with status {status}; its message is above'
    if status == 0:
        how = f'ended well, but left no {step.output}'
    if status < 0:
        how = f'was killed by signal {-status}'
    if status == -9:
        how += ', as happens when memory runs out: close other programs'
    raise SystemExit(
        f'\nerror: step "{step.name}" {how}.\nFix that and rerun the command: '
        f'finished steps are skipped. This step alone:\n  {step}')


def training(config: str, work_dir: str, options: Dict[str, Any]) -> Command:
    """A training, taken up where it was broken off."""
    # Not above: the size of this process would count as that of commands.
    from ..engine.options import read_config
    command = ['python', TRAIN, config, '--work-dir', work_dir, '--resume']
    cfg = read_config(config, options)
    return Command(command + option_list(options),
                   f'{work_dir}/{last_checkpoint(cfg)}')


def length_options(length: Optional[int]) -> Dict[str, Any]:
    """Options that give a mini config another number of steps.

    Args:
        length (Optional[int]): Steps, >= 2; a twelfth of them warm up.

    Returns:
        Dict[str, Any]: Values by dotted key, none for None.

    Raises:
        UserError: When there are fewer than two steps.
    """
    if length is None:
        return {}
    if length < 2:
        raise UserError(f'{length} steps are too few: take 2 or more')
    warm_up = max(length // 12, 1)
    return {
        'train_cfg.max_iters': length,
        'param_scheduler.0.end': warm_up,
        'param_scheduler.1.begin': warm_up,
        'param_scheduler.1.end': length
    }


def last_checkpoint(cfg: 'Config') -> str:
    """Name of the file that a training of this config ends with."""
    length: Any = cfg.train_cfg
    if length.get('max_iters'):
        return f'iter_{length["max_iters"]}.pth'
    return f'epoch_{length["max_epochs"]}.pth'


def option_list(options: Dict[str, Any]) -> List[str]:
    """Write options as ``--cfg-options`` takes them.

    Returns arguments, empty for no options.
    """
    pairs = [f'{key}={option_text(value)}' for key, value in options.items()]
    return ['--cfg-options', *pairs] if pairs else []


def option_text(value: Any, is_nested: bool = False) -> str:
    """Write the value of an option; a dict as configs write it."""
    if isinstance(value, dict):
        pairs = (f'{k}={option_text(v, True)}' for k, v in value.items())
        return f'dict({", ".join(pairs)})'
    return repr(value) if is_nested else str(value)
