"""Commands that run one after the other, each once, with what they took.

What a tool that runs other tools needs: every command is printed as a user
would type it, the record of what is whole survives a kill, and a failing step
stops the rest.
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
from typing import Any, Dict, List, Tuple

from sam3d_plugin.store.atomic import atomic_write

RECORD = 'steps.json'
INTERRUPTED = 130
_RUNNERS: Dict[str, List[str]] = dict(
    python=[], torchrun=['-m', 'torch.distributed.run'])


@dataclass(frozen=True)
class Step:
    """One command.

    Args:
        name (str): For the record.
        title (str): For people.
        purpose (str): A sentence on what it is for.
        command (List[str]): What a user would type.
        outputs (List[str]): Files that are there when it is whole.
    """
    name: str
    title: str
    purpose: str
    command: List[str]
    outputs: List[str]


@dataclass
class Cost:
    """What a step took; one that was stopped adds up.

    Args:
        name (str): Of the step.
        title (str): Of the step.
        command (str): As printed.
        seconds (float): Wall clock.
        cpu_s (float): Of all its processes on all cores, seconds.
        peak_mb (float): Largest resident size of one of its processes.
        is_done (bool): Whether it ended well.
    """
    name: str
    title: str
    command: str
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    is_done: bool = False


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
            content = self._read()
            old = content['settings']
            changed = [
                key for key in settings if old.get(key) != settings[key]
            ]
            if changed:
                raise SystemExit(
                    f'error: {work_dir} was made with {changed[0]} '
                    f'{old.get(changed[0])}, now it is '
                    f'{settings[changed[0]]}: remove the folder, or choose '
                    'another --work-dir (make quickstart WORK=DIR)')
            self.costs = {c['name']: Cost(**c) for c in content['steps']}

    def _read(self) -> Dict[str, Any]:
        try:
            return json.loads(self.path.read_text())
        except ValueError as error:
            raise SystemExit(f'error: {self.path} is damaged ({error}): '
                             'remove it; finished work is found again '
                             'quickly') from error

    def of(self, step: Step) -> Cost:
        """The cost of a step so far."""
        return self.costs.setdefault(step.name, _no_cost(step))

    def forget(self, steps: List[Step]) -> None:
        """Drop what steps took that have to be run again."""
        for step in steps:
            if step.name in self.costs and self.of(step).is_done:
                self.costs[step.name] = _no_cost(step)

    def write(self) -> None:
        """Write what is known."""
        with atomic_write(self.path, 'w') as file:
            json.dump(
                dict(
                    settings=self.settings,
                    machine=self.machine,
                    steps=[asdict(cost) for cost in self.costs.values()]),
                file,
                indent=1)


def _no_cost(step: Step) -> Cost:
    return Cost(step.name, step.title, shlex.join(step.command))


def is_whole(step: Step, record: Record) -> bool:
    """Whether a step ended well and what it made is still there."""
    return record.of(step).is_done and all(
        Path(path).exists() for path in step.outputs)


def run_steps(steps: List[Step], record: Record,
              environment: Dict[str, str]) -> int:
    """Run what is not whole, and everything after it.

    Args:
        steps (List[Step]): In their order.
        record (Record): Updated after every step.
        environment (Dict[str, str]): Of the commands.

    Returns:
        int: Exit status: 0, or that of the step that failed.
    """
    is_fresh = True
    for number, step in enumerate(steps, 1):
        head = f'\n== {number}/{len(steps)} {step.title}'
        if is_fresh and is_whole(step, record):
            print(f'{head}: done before', flush=True)
            continue
        if is_fresh:
            record.forget(steps[number - 1:])
            is_fresh = False
        cost = record.of(step)
        cost.command = shlex.join(step.command)
        print(f'{head}. {step.purpose}\n$ {cost.command}', flush=True)
        begin = time.monotonic()
        status, usage = run_command(step.command, environment)
        cost.seconds += time.monotonic() - begin
        cost.cpu_s += usage.ru_utime + usage.ru_stime
        cost.peak_mb = max(cost.peak_mb, usage.ru_maxrss / 1024)
        cost.is_done = status == 0
        record.write()
        if status == INTERRUPTED:
            print(
                '\nstopped; the same command goes on where it was',
                file=sys.stderr)
            return status
        if status:
            print(explain_failure(step, status), file=sys.stderr)
            return max(status, 1)
        print(f'   {cost.seconds:.0f} s, {cost.peak_mb:,.0f} MB', flush=True)
    return 0


def run_command(command: List[str],
                environment: Dict[str, str]) -> Tuple[int, struct_rusage]:
    """Run a command that stands for one of this Python.

    Args:
        command (List[str]): Begins with ``python`` or ``torchrun``.
        environment (Dict[str, str]): Its environment.

    Returns:
        Tuple[int, struct_rusage]: Exit status, negative after a signal and
        130 when the user interrupted; what it and the processes that it
        waited for have used.
    """
    child = subprocess.Popen(
        [sys.executable, *_RUNNERS[command[0]], *command[1:]], env=environment)
    is_interrupted = False
    while child.returncode is None:
        try:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except KeyboardInterrupt:
            # The terminal has told the command, too: it is about to end.
            is_interrupted = True
    return INTERRUPTED if is_interrupted else child.returncode, usage


def explain_failure(step: Step, status: int) -> str:
    """Say which step failed and how to go on.

    Args:
        step (Step): The step.
        status (int): Its exit status, negative after a signal.

    Returns:
        str: A few lines.
    """
    how = f'ended with status {status}; its message is above'
    if status < 0:
        how = f'was killed by signal {-status}'
        if status == -9:
            how += (', as happens when memory runs out: close other '
                    'programs')
    return (f'\nerror: step "{step.title}" {how}.\nMend that and run the same '
            'command again: what is whole stays, and this step goes on. The '
            f'step alone:\n  {shlex.join(step.command)}')
