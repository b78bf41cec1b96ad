"""Import path of ``projects``, from any directory."""
import sys

from .. import shipped


def make_projects_importable() -> None:
    """Let configs name ``projects.NAME`` in ``custom_imports``.

    Python looks beside the tool that it runs. The folder of ``projects`` goes
    last, so that it hides no other package.
    """
    root = str(shipped.FILES)
    if root not in sys.path:
        sys.path.append(root)
