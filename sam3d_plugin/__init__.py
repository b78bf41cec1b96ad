"""SAM-guided masked token prediction as an extension of MMDetection3D.

Importing this package is cheap: it imports neither torch nor mmdet3d. It adds
our packages to those that mmdet3d's registries import at their first lookup,
so ``custom_imports=dict(imports=['sam3d_plugin'])`` is all a config needs.
``pretrain``, ``finetune``, ``Predictor``, ``SceneOptions`` and ``save_html``
are imported when they are asked for.
"""
import os
from importlib import import_module
from types import ModuleType
from typing import Any

from wrapt import when_imported

from . import mmcv_ext

__version__ = '0.1.0'

# Idle threads sleep, those of GNU OpenMP (torch's on Linux) after a moment of
# spinning. Read when torch is loaded.
WAITING = {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000'}
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.update({**WAITING, **os.environ})

# Where mmdet3d's registries find components, and where they find ours.
COMPONENTS = {
    'mmdet3d.models': 'sam3d_plugin.models',
    'mmdet3d.datasets': 'sam3d_plugin.datasets',
    'mmdet3d.evaluation': 'sam3d_plugin.evaluation',
    'mmdet3d.engine': 'sam3d_plugin.engine',
    'mmdet3d.visualization': 'sam3d_plugin.engine',
}
# What users import from here, and where it is.
PUBLIC = {
    'Predictor': 'inference',
    'SceneOptions': 'inference',
    'finetune': 'api',
    'pretrain': 'api',
    'save_html': 'visualization.html',
}


def __getattr__(name: str) -> Any:
    """Import a public object when it is first used."""
    if name in PUBLIC:
        return getattr(import_module(f'{__name__}.{PUBLIC[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


# The two functions below run in the middle of other packages' imports. They
# add names and import nothing, so the order of imports does not matter.
@when_imported('mmdet3d.registry')
def _add_components(module: ModuleType) -> None:
    """Let every registry of mmdet3d import our package after its own."""
    for registry in list(vars(module).values()):
        if not isinstance(registry, module.Registry):
            continue
        theirs = {'.'.join(x.split('.')[:2]) for x in registry._locations}
        ours = [COMPONENTS[name] for name in theirs if name in COMPONENTS]
        if ours:
            registry._locations = [*registry._locations, *ours]
            # If it was looked up before, the next lookup imports ours.
            registry._imported = False


@when_imported('mmengine.config.utils')
def _name_configs(module: ModuleType) -> None:
    """Let ``sam3d_plugin::sam3d/NAME.py`` name a ``_base_`` config."""
    module.MODULE2PACKAGE[__name__] = __name__


mmcv_ext.provide()
