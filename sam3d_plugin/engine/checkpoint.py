"""Checkpoints that a kill can neither damage nor hide."""
import os
import re
from pathlib import Path
from typing import List, Optional, Tuple, Union

from mmengine.logging import print_log

from ..store.checkpoint import CheckpointError, read_checkpoint

_TEMPORARY = '.{}.tmp'
# What a run needs besides the weights to resume.
RESUMABLE = {'meta', 'state_dict', 'message_hub'}


def temporary_name(filename: str) -> str:
    """Name under which a checkpoint is written until it is complete."""
    return _TEMPORARY.format(filename)


def publish(directory: str, filename: str) -> None:
    """Give a checkpoint its name once its bytes are on the disk.

    It was written under :func:`temporary_name`, and must be readable, so that
    a run can resume from it.

    Raises CheckpointError if the file cannot be read back, so that a run could
    not resume from it.
    """
    temporary = Path(directory, temporary_name(filename))
    with open(temporary, 'rb') as file:
        os.fsync(file.fileno())
    read_checkpoint(temporary)
    os.replace(temporary, Path(directory, filename))


def find_newest_checkpoint(work_dir: Union[str, Path]) -> Optional[str]:
    """The newest checkpoint of a work directory that a run can resume from.

    The file ``last_checkpoint`` is only a hint, since a kill can leave it
    behind or half written: every candidate is read, newest first, and skipped
    with a line in the log when it is incomplete.
    """
    for path in _candidates(Path(work_dir)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            print_log(f'skipped: {error}', logger='current')
            continue
        if RESUMABLE <= set(checkpoint):
            return str(path)
    return None


def _candidates(work_dir: Path) -> List[Path]:
    """Checkpoint files, newest first; not the ones kept for their score."""
    paths = {
        path
        for path in work_dir.glob('*.pth')
        if not path.name.startswith(('best_', '.'))
    }
    hint = work_dir / 'last_checkpoint'
    if hint.is_file():
        # The hook may write checkpoints into a folder of their own.
        named = Path(hint.read_text(errors='replace').strip())
        # In a copy of a work directory it names the original.
        if named.is_file() and not (work_dir / named.name).is_file():
            paths.update(named.parent.glob(f'*{named.suffix}'))
    paths = {p for p in paths if not p.name.startswith(('best_', '.'))}
    return sorted(paths, key=_age, reverse=True)


def _age(path: Path) -> Tuple[int, int]:
    """Time of writing, then the number in the name."""
    numbers = re.findall(r'\d+', path.stem)
    return path.stat().st_mtime_ns, int(numbers[-1]) if numbers else 0
