"""Import path of ``projects``, from any directory."""
import sys
from pathlib import Path

# Links to the folders of the repository; in an installed package, copies.
_ROOT = str(Path(__file__).resolve().parents[1] / '.mim')


def make_projects_importable() -> None:
    """Let configs name ``projects.NAME`` in ``custom_imports``.

    Python looks beside the tool that it runs. The folder of ``projects`` goes
    last, so that it hides no other package.
    """
    if _ROOT not in sys.path:
        sys.path.append(_ROOT)
