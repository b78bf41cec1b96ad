"""Loading checkpoints into modules strictly, with a report."""
from collections import Counter
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, Sequence, Tuple

from mmengine.logging import print_log
from torch import Tensor, nn

from .checkpoint import read_checkpoint
from .errors import CheckpointError
from .state_names import extract_state_dict, find_holder, select_prefix

_BACKBONE_PREFIX = 'backbone.'


@dataclass(frozen=True)
class LoadReport:
    """Report on loading a checkpoint, tensor by tensor."""
    source: str  # File the tensors came from
    matched: Tuple[str, ...]  # Names that were loaded
    missing: Tuple[str, ...]  # Names the file lacks
    # Names with both shapes, for tensors of another shape
    mismatched: Tuple[str, ...]
    # Names left at their initialization, covered by ``allow_missing``
    allowed: Tuple[str, ...]
    unexpected: Tuple[str, ...]  # Names in the file that nothing took
    # What an exported encoder says of itself; else empty
    meta: Dict[str, Any] = field(default_factory=dict)

    @property
    def num_expected(self) -> int:
        """Number of tensors the module has."""
        return (len(self.matched) + len(self.missing) + len(self.mismatched) +
                len(self.allowed))

    def summary(self) -> str:
        """One phrase, such as ``'58/58 tensors'``."""
        text = f'{len(self.matched)}/{self.num_expected} tensors'
        if self.allowed:
            text += (f', {len(self.allowed)} left at their initialization '
                     '(allow_missing)')
        return text

    def unexpected_summary(self) -> str:
        """Unused tensors counted by their first name, '' when none."""
        counts = Counter(name.split('.')[0] for name in self.unexpected)
        return ', '.join(f'{name} ({n})' for name, n in counts.items())

    def raise_if_incomplete(self) -> None:
        """Raise when a tensor is missing or has another shape.

        Raises:
            CheckpointError: It lists the tensors.
        """
        if not self.matched and not self.mismatched:
            raise CheckpointError(
                f'no tensor of {self.source} fits this model; it holds '
                f'{self.unexpected_summary() or "nothing"}: check the file '
                'and the prefix')
        problems = []
        if self.missing:
            problems.append(f'lacks {_listed(self.missing)}')
        if self.mismatched:
            problems.append(f'has other shapes for {_listed(self.mismatched)}')
        if problems:
            raise CheckpointError(
                f'{self.source} {" and ".join(problems)}; take the matching '
                'file, or name in allow_missing what may start from its '
                'initialization')


def _listed(names: Sequence[str], most: int = 10) -> str:
    """A short list of names for a message."""
    rest = len(names) - most
    return ', '.join(names[:most]) + (f' and {rest} more' if rest > 0 else '')


def load_encoder(module: nn.Module,
                 state_dict: Dict[str, Tensor],
                 prefix: str = '',
                 allow_missing: Sequence[str] = (),
                 source: str = 'the state dict') -> LoadReport:
    """Load tensors into a module and refuse to leave any out.

    Args:
        module (nn.Module): Receives the tensors; its own renaming of old
            names (``_load_from_state_dict``) applies.
        state_dict (Dict[str, Tensor]): Tensors by name.
        prefix (str): Part of the names to take and cut off.
        allow_missing (Sequence[str]): Names, name prefixes ending at a dot, or
            shell patterns of tensors that may be missing or mis-shaped.
        source (str): Name of the file, for the report.

    Returns:
        LoadReport: What was loaded and what was not.

    Raises:
        CheckpointError: If a tensor is missing or mis-shaped and not in
            ``allow_missing``, or if nothing fits at all.
    """
    expected = module.state_dict()
    prefix += find_holder(select_prefix(state_dict, prefix), list(expected))
    selected = select_prefix(state_dict, prefix)
    current = _current_names(selected, expected)
    selected = {current[name]: value for name, value in selected.items()}
    mismatched = _find_mismatched(selected, expected)
    _check_finite(selected, expected, source)
    fitting = {k: v for k, v in selected.items() if k not in mismatched}
    outcome = module.load_state_dict(fitting, strict=False)
    # Files older than the counter of BatchNorm lack it; nothing reads it.
    counters = {n for n in expected if n.endswith('num_batches_tracked')}
    absent = [
        name for name in outcome.missing_keys
        if name not in mismatched and name not in counters
    ]
    allowed = [
        name for name in (*absent, *mismatched)
        if _is_named(name, allow_missing)
    ]
    taken = set(selected) - set(outcome.unexpected_keys)
    report = LoadReport(
        source=source,
        matched=tuple(k for k in expected
                      if k not in {*absent, *mismatched} and (
                          k in selected or k not in counters)),
        missing=tuple(k for k in absent if k not in allowed),
        mismatched=tuple(text for k, text in mismatched.items()
                         if k not in allowed),
        allowed=tuple(allowed),
        unexpected=tuple(
            k for k in state_dict if not (
                k.startswith(prefix) and current[k[len(prefix):]] in taken)))
    report.raise_if_incomplete()
    return report


def without_backbone_prefix(
        state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Tensors of a pre-training by the names of its parts.

    In today's files embedding and encoder are parts of ``backbone``; in older
    ones, and here, they are ``embedding.`` and ``encoder.``
    """
    return {
        name.removeprefix(_BACKBONE_PREFIX): tensor
        for name, tensor in state_dict.items()
    }


def _current_names(given: Iterable[str],
                   expected: Iterable[str]) -> Dict[str, str]:
    """Today's names: of older pre-trainings' encoder, under ``backbone``."""
    moved = {
        name.removeprefix(_BACKBONE_PREFIX): name
        for name in expected
        if name.startswith(_BACKBONE_PREFIX) and name not in given
    }
    return {
        name: name if name in expected else moved.get(name, name)
        for name in given
    }


def _check_finite(given: Dict[str, Tensor], expected: Iterable[str],
                  source: str) -> None:
    """Raise an error for NaN or infinite weights."""
    broken = [
        name for name in expected
        if name in given and not given[name].isfinite().all()
    ]
    if broken:
        raise CheckpointError(
            f'{source} has NaN or infinite values in {_listed(broken, 5)}: '
            'its training diverged; take an earlier checkpoint')


def _find_mismatched(given: Dict[str, Tensor],
                     expected: Dict[str, Tensor]) -> Dict[str, str]:
    """Names of tensors of another form, each with both forms in words."""
    return {
        name: f'{name} (file {_form(tensor)}, model {_form(expected[name])})'
        for name, tensor in given.items()
        if name in expected and _form(tensor) != _form(expected[name])
    }


def _form(tensor: Tensor) -> str:
    """Shape, and whether integers stand where weights should."""
    kind = '' if tensor.is_floating_point() else ' integers'
    return f'{tuple(tensor.shape)}{kind}'


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern equals, contains or matches the tensor's name."""
    return any(
        fnmatchcase(name, pattern)
        or name.startswith(pattern.rstrip('.') + '.') for pattern in patterns)


def load_pretrained(module: nn.Module, init_cfg: Dict[str, Any]) -> LoadReport:
    """Load the weights that a ``Pretrained`` initialization names.

    Args:
        module (nn.Module): Receives the tensors.
        init_cfg (Dict[str, Any]): ``type='Pretrained'``, ``checkpoint``
            (str, file or address), optional ``prefix`` (str; without it the
            file's names are taken as they are or behind ``backbone.``,
            whichever fits) and optional ``allow_missing`` (list of str, see
            :func:`load_encoder`).

    Returns:
        LoadReport: What was loaded, also left as ``module.load_report``;
        tensors nothing took are logged.

    Raises:
        CheckpointError: See :func:`read_checkpoint` and
            :func:`load_encoder`; also for an unknown key or a file in which
            both prefixes fit.
    """
    options = dict(init_cfg)
    if options.pop('type', None) != 'Pretrained':
        raise CheckpointError(
            f'init_cfg must have type="Pretrained", not {init_cfg}')
    filename = str(options.pop('checkpoint'))
    prefix = options.pop('prefix', None)
    allow_missing = options.pop('allow_missing', ())
    if options:
        raise CheckpointError(
            f'unknown keys in init_cfg: {", ".join(options)}; it takes '
            'checkpoint, prefix and allow_missing')
    checkpoint = read_checkpoint(filename)
    state = extract_state_dict(checkpoint, filename)
    if prefix is None:
        prefix = _find_prefix(module, state, filename)
    elif prefix and not prefix.endswith('.'):
        prefix += '.'
    report = load_encoder(module, state, prefix, allow_missing, filename)
    report = replace(report, meta=dict(checkpoint.get('meta') or {}))
    module.load_report = report  # type: ignore[assignment]
    if report.unexpected:
        print_log(
            f'{filename}: not used by {type(module).__name__}: '
            f'{report.unexpected_summary()}',
            logger='current')
    return report


def _find_prefix(module: nn.Module, state: Dict[str, Tensor],
                 filename: str) -> str:
    """The prefix behind which the file holds the module's names."""
    expected = set(module.state_dict())
    fitting = [
        prefix for prefix in ('', _BACKBONE_PREFIX)
        if expected & set(select_prefix(state, prefix))
    ]
    if len(fitting) == 1:
        return fitting[0]
    found = ', '.join(sorted({name.split('.')[0] for name in state}))
    if fitting:
        raise CheckpointError(f'{filename} fits with and without the prefix '
                              f'"{_BACKBONE_PREFIX}"; set prefix in init_cfg')
    raise CheckpointError(
        f'{filename} has no tensor of {type(module).__name__} under '
        f'"{_BACKBONE_PREFIX}" or at the top; set prefix in init_cfg (the '
        f'file holds {found})')
