"""Where ``projects`` is found, from any directory."""
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def make_projects_importable() -> None:
    """Let configs name ``projects.NAME`` in ``custom_imports``.

    Python looks beside the tool that it runs, not in the root of the
    repository. The root goes last, so that it hides no other package; where
    the plugin is installed without the repository, nothing changes.
    """
    if (_ROOT / 'projects').is_dir() and str(_ROOT) not in sys.path:
        sys.path.append(str(_ROOT))
