"""Grouping of a training set's regions by k-means on their features.

Features are read scan by scan, so that a training set need not fit into
memory. Shapes: R regions, C channels, F frames; K groups.
"""
import os
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
from rich.console import Console
from rich.progress import track
from safetensors.numpy import load, save

from ...store.errors import StoreError
from ...store.files import BackendArgs, PathLike, checksum, exists, remove
from ...store.frame_rows import SUFFIX
from ...store.locks import scan_lock
from ...store.manifest import HEADER, Store
from ...store.records import ItemRecord, ScanRecord
from ...store.region_features import RegionFeatures
from ...store.region_groups import (GROUP_IDS, GROUPS, GROUPS_FILE, KIND,
                                    Groups, RegionGroups, balanced_weights,
                                    encode_groups, pack_group_ids)
from .groups_report import summarize_groups, write_report

POOLS = ('max', 'mean')
# Result of the clustering, kept until the regions of all scans are assigned.
_FIT_FILE = f'centroids{SUFFIX}'


@dataclass(frozen=True)
class GroupOptions:
    """Options of the grouping.

    Args:
        groups (int): K.
        pool (str): Features to cluster, ``'max'`` or ``'mean'``.
        seed (int): Of the first centroids, the order of scans and the rest.
        epochs (int): Passes over the training set.
        batch_size (int): Regions per step, at least K.
        buffer_size (int): Regions that are shuffled together.
    """
    groups: int = 100
    pool: str = 'max'
    seed: int = 0
    epochs: int = 10
    batch_size: int = 4096
    buffer_size: int = 65536

    def check(self) -> None:
        """StoreError that says which option is wrong, and what it may be."""
        if self.pool not in POOLS:
            raise StoreError(f'--pool {self.pool} is unknown; choose one of '
                             f'{", ".join(POOLS)}')
        if min(self.groups, self.epochs) < 1:
            raise StoreError('--groups and --epochs must be positive')
        if not self.groups <= self.batch_size <= self.buffer_size:
            raise StoreError(
                f'--batch-size {self.batch_size} must be at least --groups '
                f'{self.groups} and at most --buffer-size {self.buffer_size}')


def read_rows(features: RegionFeatures, scan: str, pool: str) -> np.ndarray:
    """(sum R, C) float16 features of a scan; StoreError unless finite."""
    rows = features.read_scan(scan, pool)
    if not np.isfinite(rows).all():
        raise StoreError(f'{features.root}/{scan}{SUFFIX} has NaN or infinite '
                         'features; extract them again')
    return rows


def shuffled_rows(features: RegionFeatures, scans: Sequence[str],
                  options: GroupOptions,
                  rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The features of all regions once, in random order, in large parts.

    Yields (P, C) float16. P is ``buffer_size`` or, in the last part, up to
    twice that; less only if there is one part.
    """
    waiting = np.empty((0, 0), np.float16)
    for i in rng.permutation(len(scans)):
        rows = read_rows(features, scans[i], options.pool)
        if len(waiting) and rows.shape[1] != waiting.shape[1]:
            raise StoreError(
                f'{features.root}: scan {scans[i]} has features of '
                f'{rows.shape[1]} channels, others {waiting.shape[1]}; '
                'extract them all with one encoder')
        waiting = np.concatenate([waiting, rows]) if len(waiting) else rows
        while len(waiting) >= 2 * options.buffer_size:
            waiting = waiting[rng.permutation(len(waiting))]
            yield waiting[:options.buffer_size]
            waiting = waiting[options.buffer_size:]
    yield waiting[rng.permutation(len(waiting))]


def fit_centroids(features: RegionFeatures,
                  scans: Sequence[str],
                  options: GroupOptions,
                  console: Optional[Console] = None) -> np.ndarray:
    """(K, C) float32 centroids of some scans by mini-batch k-means.

    The first centroids are k-means++ over the first part of the shuffled
    regions. The same seed gives the same centroids. StoreError when there are
    fewer regions than groups, or features cannot be used.
    """
    from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus
    total = sum(int(features.offsets(scan)[-1]) for scan in scans)
    if total < options.groups:
        raise StoreError(f'{options.groups} groups for {total} regions; ask '
                         'for fewer --groups or give more scans')
    rng = np.random.default_rng(options.seed)
    estimator = None
    for _ in _progress(range(options.epochs), 'clustering', console):
        for part in shuffled_rows(features, scans, options, rng):
            if estimator is None:
                first, _ = kmeans_plusplus(
                    part.astype(np.float32),
                    options.groups,
                    random_state=options.seed)
                estimator = MiniBatchKMeans(
                    options.groups,
                    init=first,
                    n_init=1,
                    batch_size=options.batch_size,
                    # Rare groups are what the weights are for: none is
                    # given up for being rare in a batch.
                    reassignment_ratio=0.0,
                    random_state=options.seed)
            # Equal batches: none is smaller than the number of groups.
            count = max(1, len(part) // options.batch_size)
            for batch in np.array_split(part, count):
                estimator.partial_fit(batch.astype(np.float32))
    assert estimator is not None
    return estimator.cluster_centers_.astype(np.float32)


def assign_groups(rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest centroid of each row.

    Args:
        rows (np.ndarray): (R, C) features.
        centroids (np.ndarray): (K, C) float32.

    Returns:
        np.ndarray: (R,) int32, the lower of equally near ones.
    """
    from sklearn.metrics import pairwise_distances_argmin
    nearest = pairwise_distances_argmin(rows.astype(np.float32), centroids)
    return nearest.astype(np.int32)


def build_groups(features_root: PathLike,
                 out: PathLike,
                 scans: Optional[Sequence[str]] = None,
                 options: GroupOptions = GroupOptions(),
                 centroids_root: Optional[PathLike] = None,
                 backend_args: BackendArgs = None,
                 console: Optional[Console] = None) -> Dict[str, Any]:
    """Build the store of groups of a set of scans.

    See docs/method.md, "Group weights".

    Args:
        features_root (PathLike): Folder ``region_features``.
        out (PathLike): Folder to write, ``region_groups/<set>``.
        scans (Optional[Sequence[str]]): The set; all scans if None.
        options (GroupOptions): How groups are made. With ``centroids_root``
            only ``pool`` is used.
        centroids_root (Optional[PathLike]): Groups of another set, the
            training set: this one's regions get them, nothing is clustered,
            and centroids, counts and weights stay those of the training set.
        backend_args (BackendArgs): Arguments of the file backend.
        console (Optional[Console]): Shows progress.

    Returns:
        Dict[str, Any]: The report, as in report.json.

    Raises:
        StoreError: When features are missing or incomplete, or ``out`` was
            made with other settings.
    """
    options.check()
    features = RegionFeatures(features_root, backend_args, max_open=1)
    sources = Store(features_root, backend_args)
    names = _check_scans(sources, scans, console)
    known = None
    if centroids_root is not None:
        try:
            known = RegionGroups(centroids_root, backend_args).groups()
        except FileNotFoundError as error:
            raise StoreError(str(error)) from error
        _check_centroids(
            Store(centroids_root, backend_args), sources, options, console)
    store = Store(out, backend_args)
    store.open(KIND, _settings(sources, names, options, known))
    with scan_lock(store.root, GROUPS, backend_args):
        return _make_groups(store, features, names, options, known, console)


def _check_centroids(centroids: Store, sources: Store, options: GroupOptions,
                     console: Optional[Console]) -> None:
    """StoreError for centroids of the other pool; a note for those of features
    made in another way."""
    made = centroids.header()['settings']
    pool = made.get('pool', options.pool)
    if pool != options.pool:
        raise StoreError(f'{centroids.root} are groups of --pool {pool}; give '
                         f'--pool {pool} for this set, too')
    if console is not None and made.get(
            'features', {}).get('store') != checksum(sources.read(HEADER)):
        console.print(f'{centroids.root} was made of features of other '
                      f'settings than {sources.root} has: encoder and id maps '
                      'must be those of the training set')


def _make_groups(store: Store, features: RegionFeatures, names: List[str],
                 options: GroupOptions, known: Optional[Groups],
                 console: Optional[Console]) -> Dict[str, Any]:
    """Cluster unless groups are known, assign, and write the report."""
    centroids = known.centroids if known else _resume_fit(
        store, features, names, options, console)
    counts = np.zeros(len(centroids), np.int64)
    for scan in _progress(names, 'assigning', console):
        ids = _assign_scan(store, features, scan, options.pool, centroids)
        counts += np.bincount(ids, minlength=len(centroids))
    groups = known or Groups(centroids, counts, balanced_weights(counts))
    report = summarize_groups(counts, groups.weights)
    files = store.write({GROUPS_FILE: encode_groups(groups)})
    files.update(write_report(store, report))
    numbers = dict(regions=report['regions'], groups=len(centroids))
    store.write_record(
        ScanRecord(GROUPS, {GROUPS: ItemRecord('ok', '', files, numbers)}))
    remove(store.path(_FIT_FILE), store.backend_args)
    store.merge()
    return report


def _check_scans(sources: Store, scans: Optional[Sequence[str]],
                 console: Optional[Console]) -> List[str]:
    """The scans to use: each has complete features."""
    recorded = sources.recorded_scans()
    names = recorded if scans is None else sorted(set(scans))
    missing = sorted(set(names) - set(recorded))
    if missing:
        raise StoreError(
            f'{sources.root} has no features of {len(missing)} scan(s), e.g. '
            f'{missing[0]}; finish tools/preparation/extract_features.py '
            'first')
    if GROUPS in names:
        raise StoreError(f'a scan cannot be called {GROUPS}: that is the '
                         'file of the groups; rename it')
    complete = [scan for scan in names if _content_of(sources, scan)]
    if not complete:
        raise StoreError(f'{sources.root} has no features of any scan; run '
                         'tools/preparation/extract_features.py first')
    empty = sorted(set(names) - set(complete))
    if empty and console is not None:
        console.print('skipped, since all of their frames were: '
                      f'{", ".join(empty)}')
    return complete


def _content_of(sources: Store, scan: str) -> Optional[str]:
    """Checksum of a scan's features; None if all its frames are skipped."""
    record = sources.record(scan)
    assert record is not None
    files = record.files.get(f'{scan}{SUFFIX}')
    return files[1] if files else None


def _settings(sources: Store, scans: Sequence[str], options: GroupOptions,
              known: Optional[Groups]) -> Dict[str, Any]:
    """Settings that determine the groups, feature checksums included."""
    contents = [f'{scan} {_content_of(sources, scan)}' for scan in scans]
    settings: Dict[str, Any] = dict(
        features=dict(
            store=checksum(sources.read(HEADER)),
            content=checksum('\n'.join(contents).encode())),
        scans=len(scans))
    if known:
        settings.update(
            pool=options.pool, groups_of=checksum(encode_groups(known)))
    else:
        settings.update(asdict(options))
    return settings


def _resume_fit(store: Store, features: RegionFeatures, scans: Sequence[str],
                options: GroupOptions,
                console: Optional[Console]) -> np.ndarray:
    """Centroids of a run that was stopped later on, or new ones."""
    if exists(store.path(GROUPS_FILE), store.backend_args):
        return RegionGroups(store.root, store.backend_args).groups().centroids
    if exists(store.path(_FIT_FILE), store.backend_args):
        return load(store.read(_FIT_FILE))['centroids']
    centroids = fit_centroids(features, scans, options, console)
    store.write({_FIT_FILE: save(dict(centroids=centroids))}, sync=True)
    return centroids


def _assign_scan(store: Store, features: RegionFeatures, scan: str, pool: str,
                 centroids: np.ndarray) -> np.ndarray:
    """(sum R,) groups of a scan's regions, from its file if it is there."""
    record = store.record(scan)
    if record is not None and store.is_there(record.completed[scan].files):
        groups = RegionGroups(store.root, store.backend_args)
        return groups.read_scan(scan, GROUP_IDS)
    rows = read_rows(features, scan, pool)
    if rows.shape[1] != centroids.shape[1]:
        raise StoreError(
            f'{features.root}: scan {scan} has features of {rows.shape[1]} '
            f'channels, the centroids {centroids.shape[1]}; take the groups '
            'of features of the same encoder')
    ids = assign_groups(rows, centroids)
    parts = np.split(ids, features.offsets(scan)[1:-1])
    content = pack_group_ids(dict(zip(features.frames(scan), parts)))
    files = store.write({f'{scan}{SUFFIX}': content})
    numbers = dict(regions=len(ids), frames=len(parts))
    store.write_record(
        ScanRecord(scan, {scan: ItemRecord('ok', '', files, numbers)}))
    return ids


def _progress(values: Sequence, title: str,
              console: Optional[Console]) -> Iterator:
    """The values, with a bar on a terminal."""
    quiet = console is None or not console.is_terminal or 'CI' in os.environ
    return iter(track(values, title, console=console, disable=quiet))
