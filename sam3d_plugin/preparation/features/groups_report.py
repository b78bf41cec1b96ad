"""Report on the sizes of groups, as numbers and as a picture."""
import io
import json
from typing import Any, Dict

import numpy as np

from ...store.manifest import FileChecksum, Store

JSON_FILE, PNG_FILE = 'report.json', 'report.png'
# The head are the largest tenth of the groups, the tail the smaller half.
_HEAD, _TAIL = 0.1, 0.5

_DEFINITIONS = dict(
    weights='k_i = (n_i - n_min) / n_max, tau_i = 1 - k_i, '
    'w_i = tau_i / sum_j tau_j over groups that are not empty',
    head='the largest tenth of the groups that are not empty, at least one',
    tail='the smaller half of the groups that are not empty',
    share_of_regions='regions in the part / all regions',
    share_of_weight='sum over its regions of w / the same over all regions',
    effective_sample_size='(sum_i n_i w_i)^2 / sum_i n_i w_i^2 over groups '
    '(Kish), that many regions of equal weight',
    effective_groups='exp(entropy of the shares of regions), with and without '
    'weights')


def summarize_groups(counts: np.ndarray,
                     weights: np.ndarray) -> Dict[str, Any]:
    """How balanced groups of (K,) regions and (K,) weights are, as JSON;
    ``definitions`` says what each number means."""
    counts = np.asarray(counts, dtype=np.int64)
    order = np.argsort(-counts, kind='stable')
    used = order[counts[order] > 0]
    head = used[:max(1, int(len(used) * _HEAD))]
    tail = used[len(used) - int(len(used) * _TAIL):]
    mass = counts * weights
    return dict(
        regions=int(counts.sum()),
        groups=len(counts),
        empty_groups=np.flatnonzero(counts == 0).tolist(),
        largest=int(counts.max()),
        smallest=int(counts[used].min()),
        median=float(np.median(counts[used])),
        head=_shares(head, counts, mass),
        tail=_shares(tail, counts, mass),
        effective_sample_size=_ratio(
            np.square(mass.sum()), (mass * weights).sum()),
        effective_groups=dict(
            regions=_effective(counts), weighted=_effective(mass)),
        counts=counts.tolist(),
        weights=[_round(w) for w in weights],
        definitions=_DEFINITIONS)


def _round(value: float) -> float:
    return float(f'{value:.6g}')


def _ratio(part: float, whole: float) -> float:
    # All weights are 0 when every region is in a group that was empty in the
    # training set.
    return _round(part / whole) if whole else 0.0


def _shares(part: np.ndarray, counts: np.ndarray,
            mass: np.ndarray) -> Dict[str, Any]:
    return dict(
        groups=len(part),
        share_of_regions=_ratio(counts[part].sum(), counts.sum()),
        share_of_weight=_ratio(mass[part].sum(), mass.sum()))


def _effective(mass: np.ndarray) -> float:
    """Number of equally large groups of the same entropy."""
    shares = mass[mass > 0] / max(mass.sum(), np.finfo(float).tiny)
    entropy = -(shares * np.log(shares)).sum()
    return _round(np.exp(entropy)) if len(shares) else 0.0


def draw_report(report: Dict[str, Any]) -> bytes:
    """PNG file of the sizes of groups and what the weights make of them."""
    from matplotlib.figure import Figure
    counts = np.array(report['counts'])
    weights = np.array(report['weights'])
    order = np.argsort(-counts, kind='stable')
    figure = Figure(figsize=(9, 6.5), layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True)
    ranks = np.arange(1, len(counts) + 1)
    upper.bar(ranks, counts[order], width=0.85, color='#4c78a8')
    upper.set_ylabel('regions in the group')
    upper.set_title(_title(report), fontsize=10, loc='left')
    share = counts / counts.sum()
    mass = counts * weights
    weighted = mass / (mass.sum() or 1)
    lower.plot(ranks, share[order], color='#4c78a8', label='of the regions')
    lower.plot(
        ranks,
        weighted[order],
        color='#e45756',
        label='of the weight: regions x w')
    lower.set_ylabel('share of the group')
    lower.set_xlabel('group, from the largest to the smallest')
    lower.set_ylim(bottom=0)
    lower.legend(frameon=False)
    for axes in (upper, lower):
        axes.spines[['top', 'right']].set_visible(False)
        axes.margins(x=0.01)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110, metadata=dict(Software=None))
    return buffer.getvalue()


def _title(report: Dict[str, Any]) -> str:
    head, tail = report['head'], report['tail']
    return (
        f'{report["regions"]:,} regions in {report["groups"]} groups, '
        f'{len(report["empty_groups"])} empty; effective sample size '
        f'{report["effective_sample_size"]:,.0f}\n'
        f'head, the largest {head["groups"]}: {head["share_of_regions"]:.1%} '
        f'of the regions, {head["share_of_weight"]:.1%} of the weight; tail, '
        f'the smallest {tail["groups"]}: {tail["share_of_regions"]:.1%}, '
        f'{tail["share_of_weight"]:.1%}')


def write_report(store: Store, report: Dict[str,
                                            Any]) -> Dict[str, FileChecksum]:
    """Write report.json and report.png; returns their checksums."""
    text = json.dumps(report, indent=1, sort_keys=True) + '\n'
    return store.write({
        JSON_FILE: text.encode(),
        PNG_FILE: draw_report(report)
    })


def describe_groups(report: Dict[str, Any], out: str) -> str:
    """Lines on a report, for the console."""
    shares = [
        f'  {name} {report[end]["groups"]} groups: '
        f'{report[end]["share_of_regions"]:.1%} of the regions, '
        f'{report[end]["share_of_weight"]:.1%} of the weight'
        for name, end in (('largest', 'head'), ('smallest', 'tail'))
    ]
    return '\n'.join([
        f'region_groups: {report["regions"]:,} regions in '
        f'{report["groups"]} groups in {out}',
        f'  empty groups: {report["empty_groups"] or "none"}', *shares,
        f'  effective sample size {report["effective_sample_size"]:,.0f}; '
        'see report.json and report.png'
    ])
