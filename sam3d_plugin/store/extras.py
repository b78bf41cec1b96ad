"""Libraries of optional extras, which nothing imports before it needs them."""
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .errors import StoreError


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a library of an extra.

    ``make setup`` installs some into ``.venv/EXTRA``, away from all else,
    see requirements-EXTRA.txt; that folder is looked into after the others.

    Args:
        module (str): What to import.
        extra (str): The extra of pyproject.toml that installs it.

    Returns:
        ModuleType: The module.

    Raises:
        StoreError: When it is not installed.
    """
    folder = Path(sys.prefix, extra)
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))
    try:
        return import_module(module)
    except ImportError as error:
        raise StoreError(f'{module} cannot be imported ({error}): '
                         f'{how_to_install(extra)}') from error


def how_to_install(extra: str) -> str:
    """What to do about an extra that is missing, as the end of a sentence."""
    return f"run make setup, or pip install -e '.[{extra}]' in the repository"
