"""What a user sees of a long run: a line a step, and a page that grows."""
import sys
import time
from collections import deque
from pathlib import Path
from threading import Thread
from typing import Any, Callable, Collection, Mapping, Optional, Sequence

from .steps import INTERRUPTED, Command, Console, Cost, Record, run_command

_TAIL = 25  # Lines of the log that a failure shows


class Progress(Console):
    """A line a step with the time left, and a page of what there is so far.

    What commands print goes to a log. The page is written in the background,
    while the step after a milestone runs. When it is there for the first time,
    the record is told, unless an earlier run had done some of the steps.

    Args:
        record (Record): Of this run.
        expected (Mapping[str, float]): Seconds of the steps on some machine,
            by their names; steps that it lacks count nothing.
        log (Path): Where commands and what they print is added.
        page (Callable[[str], Command]): The command that writes the page,
            given what it says of the steps to come.
        milestones (Collection[str]): Names of the steps after which it is
            written.
        environment (Optional[dict]): Of that command. Defaults to that of
            this process.
    """

    def __init__(self,
                 record: Record,
                 expected: Mapping[str, float],
                 log: Path,
                 page: Callable[[str], Command],
                 milestones: Collection[str],
                 environment: Optional[dict] = None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.record, self.expected, self.page = record, expected, page
        self.milestones, self.environment = milestones, environment
        self.path, self.log = log, log.open('a')
        self.options = dict(stdout=self.log, stderr=self.log)
        self.writing: Optional[Thread] = None
        self.is_due = self.is_shown = False
        # Nothing was done before.
        self.begun = None if record.costs else time.monotonic()

    def __enter__(self) -> 'Progress':
        """The same."""
        print(f'What the steps print goes to {self.path}', flush=True)
        return self

    def __exit__(self, *_: Any) -> None:
        """Wait for the page and close the log."""
        self.wait()
        self.log.close()

    def wait(self) -> None:
        """Wait for the page that is being written."""
        if self.writing is not None:
            self.writing.join()

    def skip(self, steps: Sequence[Command], number: int) -> None:
        """A step, counted from 1, was done before."""
        self.is_due |= steps[number - 1].name in self.milestones

    def begin(self, steps: Sequence[Command], number: int) -> None:
        """A step, counted from 1, is about to run; the page may be due."""
        step = steps[number - 1]
        left = roughly(seconds_left(steps, number, self.record, self.expected))
        print(
            f'{number}/{len(steps)} {step.name}: {step.purpose} '
            f'About {left} left.',
            flush=True)
        print(f'\n$ {step}', file=self.log, flush=True)
        if number == len(steps):  # It writes the last page itself.
            self.wait()
        elif self.is_due:
            self.wait()
            self.is_due = False
            command = self.page(
                f'Step {number} of {len(steps)}, {step.name}, began at '
                f'{time.strftime("%H:%M")}, when about {left} were left.')
            self.writing = Thread(target=self._write, args=(command, ))
            self.writing.start()

    def end(self, cost: Cost) -> None:
        """A step has ended, well or not."""
        self.is_due |= cost.is_done and cost.title in self.milestones

    def fail(self) -> None:
        """A command failed: show what it said last."""
        with self.path.open(errors='replace') as log:
            print(''.join(deque(log, _TAIL)), file=sys.stderr)

    def _write(self, step: Command) -> None:
        status = run_command(step.command, self.environment, **self.options)[0]
        if status not in (0, INTERRUPTED):
            print(f'The page was not written: see {self.path}', flush=True)
        elif status == 0 and not self.is_shown:
            self.is_shown = True
            if self.begun is not None:
                seconds = time.monotonic() - self.begun
                self.record.machine['first pictures'] = f'{seconds:.0f} s'
            print(
                'The first pictures are there, and the page will grow. Open '
                f'in a browser: {Path(step.output).resolve()}',
                flush=True)


def seconds_left(steps: Sequence[Command], number: int, record: Record,
                 expected: Mapping[str, float]) -> float:
    """Time that is left when a step begins, at the speed so far.

    Args:
        steps (Sequence[Command]): All of them.
        number (int): Of the step that begins, from 1.
        record (Record): What the steps before it took.
        expected (Mapping[str, float]): Seconds of the steps on some machine,
            by their names.

    Returns:
        float: Seconds, for this step and the later ones.
    """

    def planned(some: Sequence[Command]) -> float:
        return sum(expected.get(step.name, 0.0) for step in some)

    done, to_come = steps[:number - 1], steps[number - 1:]
    spent = sum(record.of(step).seconds for step in done)
    pace = spent / planned(done) if planned(done) else 1.0
    return pace * planned(to_come)


def roughly(seconds: float) -> str:
    """A duration in minutes, 1 at least."""
    return f'{max(round(seconds / 60), 1)} min'
