"""Checks of ``--cfg-options``.

mmengine merges any key into a config, so a typing error would train with the
old settings and say nothing.
"""
import difflib
import inspect
import numbers
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Set

from mmengine.config import Config
from mmengine.registry import Registry

from ..store.errors import UserError

# Read by mmengine's runner and by ours beside the runner's own arguments.
_RUN_SETTINGS = {
    'activation_checkpointing', 'allow_missing', 'compile',
    'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg',
    'runner_type', 'sync_bn', 'tta_model', 'tta_pipeline', 'work_dir'
}
# Settings of our own that stand for several others.
SHORTHANDS = ('data_root', 'teacher')
# Taken out of a component's dict before it is built.
_READ_BEFORE_BUILDING = {
    'type', '_scope_', '_delete_', 'convert_to_iter_based', 'priority',
    'constructor', 'paramwise_cfg', 'by_epoch'
}
_PARAMWISE = {
    'bias_decay_mult', 'bias_lr_mult', 'bypass_duplicate', 'custom_keys',
    'dcn_offset_lr_mult', 'decay_mult', 'dwconv_decay_mult', 'flat_decay_mult',
    'layer_decay', 'lr_mult', 'norm_decay_mult'
}
# Parts of a config without a type of their own.
_UNTYPED = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'},
    'paramwise_cfg': _PARAMWISE,
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
}
# What mmengine builds where a config gives no type.
_DEFAULT_TYPES = {
    'optim_wrapper': ('OptimWrapper', ),
    'test_cfg': ('TestLoop', ),
    'train_cfg': ('EpochBasedTrainLoop', 'IterBasedTrainLoop'),
    'val_cfg': ('ValLoop', ),
}
# Dicts whose keys are names that a user chooses.
_FREE = {
    'backend_args', 'custom_keys', 'data_prefix', 'default_hooks', 'metainfo'
}
_LOADER_SETTINGS = {'dataset', 'num_batch_per_epoch'}


def check_options(cfg: Config, options: Dict[str, Any]) -> Dict[str, Any]:
    """Refuse options that change nothing, or to a value of another kind.

    A key must be in the config before the options are merged, or be an
    argument of the component that it is for; ``+key`` sets any other. The
    error lists every wrong key, with the nearest known ones. Returns the
    options without the ``+``.

    Raises ValueError: It lists every such key, with the nearest known ones.
    """
    problems = []
    settings = dict(cfg.items())
    for key, value in options.items():
        if not key.startswith('+') and key not in SHORTHANDS:
            problem = _find_problem(settings, key, value)
            problems += [problem] if problem else []
    if problems:
        raise UserError(f'--cfg-options: {"; ".join(problems)} '
                        '(+KEY=VALUE sets a key without this check)')
    return {key.lstrip('+'): value for key, value in options.items()}


def _find_problem(cfg: Mapping, key: str, value: Any) -> Optional[str]:
    """What is wrong with one option, None when it fits."""
    first, *rest = parts = key.split('.')
    if first not in _run_settings():
        return _describe_ignored(cfg, key, first)
    node, parent = cfg, {}  # type: Any, Any
    for depth, part in enumerate(parts):
        place = '.'.join(parts[:depth])
        if node is None:  # a part that the config switches off
            return None
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                return f'{key}: {place} is a list of {len(node)} entries'
            node = node[int(part)]
        elif not isinstance(node, Mapping):
            return f'{place} is {node!r} and has no {part}'
        elif part in node:
            node, parent = node[part], node
        elif depth == 0:  # the runner's own default
            node = {} if len(parts) > 1 else None
        else:
            is_last = depth + 1 == len(parts)
            problem = _check_new_key(node, parts[:depth], part,
                                     value if is_last else None)
            if problem or is_last:
                return problem
            node = {}
    return (_check_whole(parent, parts, value)
            or _check_kind(key, node, value))


def _check_new_key(node: Mapping, place: List[str], part: str,
                   value: Any) -> Optional[str]:
    """Whether a dict of the config takes a key that it does not have."""
    key = '.'.join([*place, part])
    name = place[-1]
    has_form = bool(node) or name in {*_UNTYPED, *_DEFAULT_TYPES}
    if name in _FREE or not has_form:
        return None
    accepted = _accepted(node, name)
    if accepted is None:
        return None
    if part not in accepted:
        near = _nearest(part, {*accepted, *node})
        owner = node.get('type', name)
        return f'{key}: {owner} takes no {part}{near}'
    default = getattr(accepted[part], 'default', None)
    if default in (None, inspect.Parameter.empty):
        return None
    return _check_kind(key, default, value)


def _check_whole(node: Mapping, parts: List[str], value: Any) -> Optional[str]:
    """Whether a component takes a number that is not an integer."""
    if not isinstance(value, float) or len(parts) < 2:
        return None
    accepted = _accepted(node, parts[-2]) or {}
    kind = getattr(accepted.get(parts[-1]), 'annotation', None)
    if kind not in (int, Optional[int]):
        return None
    return f'{".".join(parts)}={value} must be an integer'


def _accepted(node: Mapping, name: str) -> Optional[Dict[str, Any]]:
    """Keys that the dict under ``name`` may have, with their parameters.

    A key without a parameter has None. None instead of a dict where only
    building it can tell.
    """
    kinds = (node['type'], ) if 'type' in node else _DEFAULT_TYPES.get(
        name, ())
    if name.endswith('_dataloader'):
        from torch.utils.data import DataLoader
        return {**dict.fromkeys(_LOADER_SETTINGS), **arguments_of(DataLoader)}
    if not kinds:
        return dict.fromkeys(_UNTYPED.get(name, ()))
    components = [c for kind in kinds for c in _find_components(kind)]
    if not components:
        return None
    accepted: Dict[str, Any] = dict.fromkeys(_READ_BEFORE_BUILDING)
    for component in components:
        accepted.update(arguments_of(component))
    return accepted


def _find_components(kind: Any) -> List[Any]:
    """Classes and functions that are registered under a type's name."""
    if not isinstance(kind, str):
        return [kind]
    from mmdet3d import registry as mmdet3d_registry

    # mmdet3d 1.4 names a package for inferencers that does not exist.
    found = [
        registry.get(kind) for registry in vars(mmdet3d_registry).values()
        if isinstance(registry, Registry) and registry.name != 'inferencer'
    ]
    return [component for component in found if component is not None]


def arguments_of(component: Any) -> Dict[str, inspect.Parameter]:
    """Arguments of a component and of the bases that it passes others to."""
    found: Dict[str, inspect.Parameter] = {}
    is_class = inspect.isclass(component)
    functions = [
        vars(base)['__init__'] for base in component.__mro__
        if '__init__' in vars(base)
    ] if is_class else [component]
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # written in C
            break
        for parameter in parameters:
            found.setdefault(parameter.name, parameter)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return found


def _check_kind(key: str, old: Any, new: Any) -> Optional[str]:
    """Whether a value may stand in the place of another."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        if new.get('_delete_'):
            return None
        problems = [
            _find_below(old, key.split('.'), name, value)
            for name, value in new.items()
        ]
        return '; '.join(filter(None, problems)) or None
    if new is None:
        return None
    fits, wanted = True, ''
    if isinstance(old, bool):
        fits, wanted = isinstance(new, bool), 'True or False'
    elif isinstance(old, numbers.Number):
        is_number = isinstance(new, numbers.Number)
        fits, wanted = is_number and not isinstance(new, bool), 'a number'
    elif isinstance(old, Mapping):
        fits, wanted = isinstance(new, (Mapping, list)), 'a dict'
    return None if fits else f'{key}={new} must be {wanted}'


def _find_below(node: Mapping, place: List[str], name: str,
                value: Any) -> Optional[str]:
    if name == 'type' or name == '_delete_':
        return None
    if name in node:
        return (_check_whole(node, [*place, name], value)
                or _check_kind('.'.join([*place, name]), node[name], value))
    return _check_new_key(node, place, name, value)


def _run_settings() -> Set[str]:
    """Keys of a config that a run reads."""
    from mmengine.runner import Runner

    # The launcher is an option of its own, which has the last word.
    return {*arguments_of(Runner), *_RUN_SETTINGS
            } - {'self', 'cfg', 'launcher'}


def _describe_ignored(cfg: Mapping, key: str, first: str) -> str:
    """Say of a key that no run reads what to write in its place."""
    if first in cfg:
        return (f'{key}: {first} is a variable of the config files, which '
                'are read before the options; set what it is used for')
    leaf = key.rpartition('.')[2]
    inside = [k for k in _leaves(cfg) if k.rpartition('.')[2] == leaf]
    known = {*map(str, cfg), *_run_settings()}
    near = _nearest(first, known) if '.' in key or not inside else (
        f'; did you mean {" or ".join(inside[:3])}?')
    return f'the config has no {key}{near}'


def _leaves(node: Any, place: str = '') -> Iterator[str]:
    """Dotted keys of everything that a run reads."""
    read = _run_settings() if not place else None
    for name, value in node.items():
        if read is not None and name not in read:
            continue
        key = f'{place}{name}'
        if isinstance(value, Mapping):
            yield from _leaves(value, f'{key}.')
        else:
            yield key


def _nearest(name: str, known: Iterable[str]) -> str:
    """The question after a name that is close to known ones."""
    close = difflib.get_close_matches(name, map(str, known), n=3)
    return f'; did you mean {" or ".join(close)}?' if close else ''
