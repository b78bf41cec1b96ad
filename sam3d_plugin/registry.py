"""Registries behind configs that are named ``sam3d_plugin::NAME``.

mmengine builds what such a config holds in the scope of that name. Nothing is
registered here: these registries find what their parents in mmdet3d have.
"""
from mmdet3d import registry
from mmengine.registry import Registry

_SCOPED = [
    Registry(
        parent.name,
        parent=parent,
        scope='sam3d_plugin',
        locations=parent._locations) for parent in vars(registry).values()
    if isinstance(parent, Registry) and parent.scope == 'mmdet3d'
]
