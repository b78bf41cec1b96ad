"""What a file of points holds, before anything is made of it."""
import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Dict, List, Optional

import numpy as np

from ....store.errors import UserError
from ....store.extras import how_to_install


@dataclass
class FileContent:
    """Arrays of a file and what it says about their frame."""
    arrays: Dict[str, np.ndarray]  # By their names in the file
    unused: List[str] = field(default_factory=list)  # What is not understood
    notes: List[str] = field(default_factory=list)  # For the log
    scale: Optional[float] = None  # Meters per unit, if the file says it
    up: Optional[str] = None  # Axis that points up, if the format says it
    color_problem: str = ''  # Why colors cannot be read, and what to do


def import_optional(name: str, ending: str) -> ModuleType:
    """Import a library that only some files need.

    Args:
        name (str): The library.
        ending (str): Ending of the files, for the error.

    Returns:
        ModuleType: The library.

    Raises:
        UserError: When it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f'{ending} files need {name} ({error}): '
                        f'{how_to_install("scans")}') from error
