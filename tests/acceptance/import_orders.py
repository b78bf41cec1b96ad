"""Every order in which packages can be imported, each in its own process.

Run as a program. Processes fork along the tree of orders, so that each order
starts where neither mmdet3d nor our packages have been imported, without
paying for torch again. Orders that have loaded the same modules go on as one,
and a package that others have loaded already is not imported again; that
leaves about two hundred imports of the 362,880 orders.
"""
import ast
import gc
import hashlib
import os
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Callable, Dict, List

ROOT = Path(__file__).resolve().parents[2]
KINDS = ('models', 'datasets', 'evaluation', 'engine')
PACKAGES = [
    'sam3d_plugin', *(f'mmdet3d.{kind}' for kind in KINDS),
    *(f'sam3d_plugin.{kind}' for kind in KINDS)
]
# What these import of others, so that a forked process need not.
PRELOADED = [
    'mmcv.ops', 'mmdet.apis', 'mmdet.models', 'mmdet.evaluation', 'numba.cuda',
    'lyft_dataset_sdk.lyftdataset', 'matplotlib.pyplot', 'plotly', 'plyfile',
    'nuscenes.eval.detection.config', 'nuscenes.utils.data_classes', 'trimesh'
]


def find_components() -> Dict[str, List[str]]:
    """Names of our components by registry, as the source files have them."""
    found: Dict[str, List[str]] = {}
    for path in (ROOT / 'sam3d_plugin').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            for call in getattr(node, 'decorator_list', []):
                name = ast.unparse(call)
                if name.endswith('.register_module()'):
                    found.setdefault(name.split('.')[0], []).append(node.name)
    # A registry of mmengine that mmdet3d has no child of.
    found.pop('FUNCTIONS')
    return found


COMPONENTS = find_components()


def look_up(*registries: str) -> None:
    """Look up all components of registries and expect ours."""
    for registry_name in registries:
        registry = getattr(import_module('mmdet3d.registry'), registry_name)
        for name in COMPONENTS[registry_name]:
            found = registry.get(name)
            package = getattr(found, '__module__', '').split('.')[0]
            assert package == 'sam3d_plugin', (registry_name, name, found)
    ops = import_module('mmcv.ops')
    assert ops.points_in_boxes_all.__module__ == 'sam3d_plugin.ops.boxes'


def look_up_first(registry_name: str) -> None:
    """Look up one registry before anything of mmdet3d is imported."""
    import_module('sam3d_plugin')
    look_up(registry_name)


def look_up_again(registry_name: str) -> None:
    """Import the plugin after a registry has been looked up."""
    registry = getattr(import_module('mmdet3d.registry'), registry_name)
    assert registry.get('Absent') is None
    import_module('sam3d_plugin')
    look_up(registry_name)


def succeeds(title: str, action: Callable[..., None], *arguments: str) -> bool:
    """Whether an action succeeds in a process of its own."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        action(*arguments)
        status = 0
    except Exception:  # noqa: BLE001  shown, and fails the parent
        print(f'{title}:\n{traceback.format_exc()}', file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def is_new(folder: str) -> bool:
    """Whether no order before has loaded the same modules."""
    loaded = sorted(n for n in sys.modules if n.startswith(('mmdet3', 'sam3')))
    name = hashlib.sha1(' '.join(loaded).encode()).hexdigest()
    try:
        Path(folder, name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def follow(folder: str, *done: str) -> None:
    """Import the last package, then what is left in every order.

    In between, components are looked up in a process that ends.
    """
    for name in done[-1:]:
        import_module(name)
    if not is_new(folder):
        return
    ok = [True]
    if 'sam3d_plugin' in sys.modules:
        title = ' → '.join([*done, 'look up'])
        ok.append(succeeds(title, look_up, *COMPONENTS))
    for name in PACKAGES:
        if name not in sys.modules:
            order = [*done, name]
            ok.append(succeeds(' → '.join(order), follow, folder, *order))
    assert all(ok), 'an order failed'


def main() -> int:
    """Run all orders and lookups; return the exit status."""
    for name in PRELOADED:
        import_module(name)
    gc.disable()  # collecting would copy the memory that processes share
    early = [n for n in sys.modules if n.startswith(('mmdet3', 'sam3'))]
    assert not early, early
    ok = []
    with tempfile.TemporaryDirectory() as folder:
        ok.append(succeeds('orders', follow, folder))
        print(f'{len(os.listdir(folder))} states')
    for registry in COMPONENTS:
        for action in (look_up_first, look_up_again):
            ok.append(
                succeeds(f'{action.__name__} {registry}', action, registry))
    return int(not all(ok))


if __name__ == '__main__':
    sys.exit(main())
