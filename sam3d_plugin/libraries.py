"""Set-up of the libraries that our components need."""
from .ops.install import install
from .store.checkpoint import allow_mmengine_classes


def prepare_libraries() -> None:
    """Let mmcv run on the CPU and torch read mmengine's checkpoints.

    Every package of components calls this when it is imported, which mmdet3d's
    registries do at their first lookup: before anything built from a config
    runs an operation or reads a checkpoint. Safe to repeat.
    """
    install()
    allow_mmengine_classes()
