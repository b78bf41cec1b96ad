"""Numbers and charts of the prepared data of a scan.

Shapes: N points, R regions.
"""
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

from ...store.errors import StoreError
from ...store.files import join
from ...store.manifest import Store
from ...store.region_features import RegionFeatures
from ...visualization.scan_page import (Histogram, PageContent, PagePoints,
                                        area_histogram, evenly)
from .inspection import RegionStatistics, ScanInspection

# Reasons of skipped frames that a table names.
_NAMED = 12

Rows = List[Tuple[str, str]]


def _spread(values: Union[np.ndarray, Sequence[float]], form: str) -> str:
    low, middle, high = np.percentile(values, [0, 50, 100])
    return ' / '.join(format(v, form) for v in (low, middle, high))


def page_content(inspection: ScanInspection,
                 frames: int = 12,
                 max_points: int = 60000) -> PageContent:
    """What the page of a scan shows, with at most so many frames and points.

    StoreError when there is nothing of the scan, or a file is damaged.
    """
    names = inspection.frame_names()
    shown = evenly(names, frames)
    points = inspection.points(shown, max_points)
    if not names and points is None:
        raise StoreError(f'{inspection.data} has neither images nor points '
                         f'of {inspection.scan}')
    statistics = inspection.region_statistics()
    tables: Dict[str, Rows] = {}
    if names:
        tables['Frames'] = _frame_rows(inspection, len(names))
    if statistics.counts or statistics.damaged:
        tables['Regions of the frames'] = _region_rows(statistics)
    if points is not None:
        tables['Points'] = _point_rows(points)
    histograms = [
        area_histogram(statistics.areas,
                       'Regions by area, pixels (from this on)')
    ] if len(statistics.areas) else []
    if inspection.groups is not None:
        tables['Groups'], chart = _group_part(inspection)
        histograms.append(chart)
    features = RegionFeatures(
        join(inspection.data, 'region_features'), inspection.backend_args)
    if inspection.scan in features.scans():
        tables['Region features'] = _feature_rows(features, inspection.scan)
    return PageContent(
        inspection.scan, f'{inspection.data.rstrip("/").rpartition("/")[2]}: '
        f'{len(shown)} of {len(names)} frames shown', inspection.panels(shown),
        points, tables, _settings_tables(inspection), histograms)


def _frame_rows(inspection: ScanInspection, count: int) -> Rows:
    rows = [('frames with images', f'{count:,}'),
            ('of them with an id map', f'{len(inspection.map_names):,}')]
    for folder, what in (('posed_images', 'no images'), ('region_maps',
                                                         'no id map')):
        skipped = inspection.skipped(folder)
        rows += [(f'{name}: {what}', reason)
                 for name, reason in list(skipped.items())[:_NAMED]]
        if len(skipped) > _NAMED:
            rows.append((f'and {len(skipped) - _NAMED} more', what))
    return rows


def _region_rows(statistics: RegionStatistics) -> Rows:
    rows = [(f'{name}: damaged', reason)
            for name, reason in list(statistics.damaged.items())[:_NAMED]]
    if not statistics.counts:
        return rows
    return rows + [
        ('regions', f'{len(statistics.areas):,}'),
        ('per frame, min / median / max', _spread(statistics.counts, '.0f')),
        ('covered pixels, min / median / max',
         _spread(statistics.covered, '.1%')),
        ('area in pixels, min / median / max', _spread(statistics.areas,
                                                       ',.0f')),
    ]


def _point_rows(points: PagePoints) -> Rows:
    size = ' × '.join(f'{x:.1f}' for x in np.ptp(points.xyz, axis=0))
    rows = [('points', f'{len(points.xyz):,}'), ('extent', f'{size} m')]
    if points.region_ids is not None:
        counts = np.bincount(points.region_ids)[1:]
        counts = counts[counts > 0]
        rows += [('in a region', f'{(points.region_ids > 0).mean():.1%}'),
                 ('regions', f'{len(counts):,}')]
        if len(counts):
            rows.append(('points per region, min / median / max',
                         _spread(counts, ',.0f')))
    return rows


def _group_part(inspection: ScanInspection) -> Tuple[Rows, Histogram]:
    assert inspection.groups is not None
    groups = inspection.groups.groups()
    count = len(groups.counts)
    ids = np.concatenate([
        inspection.groups.read(inspection.scan, frame)
        for frame in inspection.groups.frames(inspection.scan)
    ])
    here = np.bincount(ids, minlength=count)
    order = np.argsort(-here, kind='stable')
    rows = [('set', inspection.group_set), ('groups', f'{count}'),
            ('groups in this scan', f'{(here > 0).sum()}'),
            ('largest group here', f'{here.max() / here.sum():.1%} of '
             f'{here.sum():,} regions'),
            ('weights, min / median / max', _spread(groups.weights, '.4f'))]
    return rows, Histogram('Regions of this scan by group, largest first',
                           [str(i) for i in order], here[order].tolist())


def _feature_rows(features: RegionFeatures, scan: str) -> Rows:
    mean = features.read_scan(scan, 'mean')
    norms = np.linalg.norm(mean.astype(np.float32), axis=1)
    return [('regions × channels', f'{len(mean):,} × {mean.shape[1]}'),
            ('frames', f'{len(features.frames(scan)):,}'),
            ('norm of the mean feature, min / median / max',
             _spread(norms, '.2f') if len(norms) else 'none')]


def _settings_tables(inspection: ScanInspection) -> Dict[str, Rows]:
    """Settings of each store, from its header."""
    tables = {}
    for folder in ('posed_images', 'region_maps', 'region_features',
                   'regions'):
        store = Store(join(inspection.data, folder), inspection.backend_args)
        if store.exists():
            settings = store.header().get('settings', {})
            # Those of the id maps have a table of their own.
            rows = _flatten({
                key: value
                for key, value in settings.items()
                if key not in ('regions', 'region_maps')
            })
            tables[folder] = rows
    return tables


def _flatten(settings: Dict[str, Any], prefix: str = '') -> Rows:
    rows: Rows = []
    for key, value in settings.items():
        if isinstance(value, dict):
            rows += _flatten(value, f'{prefix}{key}.')
        else:
            rows.append((f'{prefix}{key}', str(value)))
    return rows
