"""What a report reads: logs of trainings, and JSON of other tools."""
import json
from pathlib import Path
from typing import Any, Dict, NoReturn, Union

import numpy as np

from ..visualization.pretraining_sections import Curves


def stop(sentence: str) -> NoReturn:
    """End with a sentence that says what to do.

    Args:
        sentence (str): What is wrong.

    Raises:
        SystemExit: Always.
    """
    raise SystemExit(f'error: {sentence}')


def read_curves(work_dir: str) -> Curves:
    """The logged losses and times of a training, over all its resumes.

    Args:
        work_dir (str): Its work directory.

    Returns:
        Curves: By step; a later run replaces what an earlier one logged of
        the same step.

    Raises:
        SystemExit: When nothing was logged there.
    """
    by_step: Dict[int, Dict[str, Any]] = {}
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if 'loss' in row:
                by_step[row['step']] = row
    if not by_step:
        stop(f'{work_dir} has no training in it that logged a '
             'loss; name the --work-dir of tools/train.py')
    rows = [by_step[step] for step in sorted(by_step)]
    # mmdet3d logs the same number twice when a method has a single loss.
    parts = [key for key in rows[-1] if key.startswith('loss')]
    parts = parts[:1] if len(parts) == 2 else parts
    return Curves(
        steps=[row['step'] for row in rows],
        losses={key: [row[key] for row in rows]
                for key in parts},
        step_s=float(np.median([row['time'] for row in rows])),
        data_s=float(np.median([row['data_time'] for row in rows])))


def read_json(path: Union[str, Path]) -> Dict[str, Any]:
    """Read what another tool wrote.

    Args:
        path (Union[str, Path]): JSON file.

    Returns:
        Dict[str, Any]: Its content.

    Raises:
        SystemExit: When it is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        stop(f'{path} is missing; run the step that writes '
             'it first')
    except json.JSONDecodeError as error:
        stop(f'{path} is damaged ({error}); run the step that writes it again')
