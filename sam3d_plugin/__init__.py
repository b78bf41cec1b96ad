"""SAM-guided masked token prediction as an extension of MMDetection3D.

Importing this package is cheap: it only arranges that our components follow
mmdet3d's own into the registries, and that mmcv's point operations learn to
run on the CPU, as soon as those packages are imported. mmdet3d's registries
import their packages when a name is looked up, so
``custom_imports=dict(imports=['sam3d_plugin'])`` is all a config needs.
``Predictor`` is imported when it is asked for.
"""
from importlib import import_module
from typing import Any

from wrapt import when_imported

__version__ = '0.1.0'

# Our packages register their components when they are imported.
COMPONENTS = {
    'mmdet3d.models': 'sam3d_plugin.models',
    'mmdet3d.datasets': 'sam3d_plugin.datasets',
    'mmdet3d.evaluation': 'sam3d_plugin.evaluation',
    'mmdet3d.engine': 'sam3d_plugin.engine',
}


def __getattr__(name: str) -> Any:
    """Import a name of the inference package when it is first used."""
    if name == 'Predictor':
        return import_module('sam3d_plugin.inference').Predictor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _register_beside(theirs: str, ours: str) -> None:
    when_imported(theirs)(lambda _: import_module(ours))


def _install_ops(_: object) -> None:
    import_module('sam3d_plugin.ops.install').install()


for _theirs, _ours in COMPONENTS.items():
    _register_beside(_theirs, _ours)
when_imported('mmcv.ops')(_install_ops)
