"""The methods of the repository, as their ``metafile.yml`` describes them.

A new method is a folder of ``projects`` with such a file: the ladder trains
it, the tables list it and ``tests/projects`` check it.
"""
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import mmengine

from .. import shipped
from ..datasets.preflight import find_leaf_datasets
from .tables import table

ROOT = shipped.FILES
OURS = 'configs/sam3d/pretraining_metafile.yml'

# What papers report beside detection on ScanNet, as metafiles call it.
ELSEWHERE = ('SUN RGB-D detection', 'S3DIS segmentation',
             'ScanNet segmentation')


class Stage(NamedTuple):
    """One training of a method."""
    name: str  # Unique among all methods
    configs: Dict[str, str]  # Config files of the sizes mini and full
    teacher: Optional[str]  # The stage that it predicts


class Method(NamedTuple):
    """One way of pre-training."""
    key: str  # Name of its folder
    name: str  # As published
    paper: Dict[str, str]  # Its ``Title`` and ``URL``
    original: str  # Licence and place of the authors' code
    reads: str  # What a sample must hold
    tokens: Tuple[str, ...]  # Tokens that the ladder trains it with
    stages: Tuple[Stage, ...]  # In order
    reported: Dict[str, str]  # ScanNet detection, AP25 / AP50, by detector
    variant: str  # What is trained instead of the published method, or ''
    is_supervised: bool  # Whether it learns from labels of points

    @property
    def label(self) -> str:
        """str: Name of what is trained."""
        kind = 'supervised' if self.is_supervised else ''
        return ', '.join(filter(None, (self.name, kind, self.variant)))


@lru_cache(maxsize=None)
def read_methods() -> Dict[str, Method]:
    """Read the metafiles of our method and of every project.

    A project without stages, such as a backbone, pre-trains nothing. Those
    that learn from labels come last.
    """
    found = [
        _read(path, collection) for path, collection in _collections().items()
        if 'Stages' in collection['Metadata']
    ]
    return {
        method.key: method
        for method in sorted(found, key=lambda m: m.is_supervised)
    }


def _collections() -> Dict[Path, Dict[str, Any]]:
    """What the metafile of our method and those of all projects say."""
    paths = [ROOT / OURS, *sorted(ROOT.glob('projects/*/metafile.yml'))]
    return {path: mmengine.load(path)['Collections'][0] for path in paths}


def _read(path: Path, collection: Dict[str, Any]) -> Method:
    meta: Dict[str, Any] = collection['Metadata']
    stages = [
        Stage(stage['Name'], {size: stage[size]
                              for size in ('mini', 'full')},
              stage.get('Teacher')) for stage in meta['Stages']
    ]
    return Method(path.parent.name, collection['Name'], collection['Paper'],
                  meta['Original'], meta['Reads'], tuple(meta['Tokens']),
                  tuple(stages), meta['Reported'], meta.get('Variant', ''),
                  meta.get('Supervised', False))


def pipeline_of(loader: Dict[str, Any]) -> List[Any]:
    """Steps that make the samples of a training, of all its data sets."""
    return [
        step for dataset in find_leaf_datasets(loader['dataset'])
        for step in dataset['pipeline']
    ]


def clouds_per_frame(pipeline: Sequence[Dict[str, Any]]) -> int:
    """Clouds that a training draws from a frame, each as large as any other.

    Two views are two; a step that makes more has the option ``num_views``.
    """
    has_views = any(step['type'] == 'TwoViews' for step in pipeline)
    return next((step['num_views']
                 for step in pipeline if 'num_views' in step), 1 + has_views)


def reads_objects(pipeline: Sequence[Dict[str, Any]]) -> bool:
    """Whether a training puts objects of the data set into frames."""
    return any(step['type'] == 'PlaceMovingObject' for step in pipeline)


def stage_configs(size: str) -> Dict[str, str]:
    """Config of every stage of all methods.

    Returns them by name of the stage, from the repository's root.
    """
    return {
        stage.name: stage.configs[size]
        for method in read_methods().values()
        for stage in method.stages
    }


def methods_table() -> str:
    """Return the Markdown table of all methods."""
    rows: List[List[str]] = []
    for method in read_methods().values():
        reported = [
            f'{name} {scores}' for name, scores in method.reported.items()
        ]
        linked = f'[{method.name}]({method.paper["URL"]})'
        rows.append([
            method.label.replace(method.name, linked, 1),
            ', '.join(stage.name for stage in method.stages), method.reads,
            ', '.join(method.tokens), method.original, '; '.join(reported)
        ])
    return table([
        'method', 'stages', 'reads', 'tokens', 'original code',
        'reported on ScanNet, AP25 / AP50'
    ], rows)


def elsewhere_table() -> str:
    """Return the Markdown table of what is reported beside detection on
    ScanNet."""
    rows = []
    for collection in _collections().values():
        found = collection['Metadata'].get('ReportedElsewhere')
        if found:
            rows.append([
                collection['Name'],
                *(found.get(column, '–') for column in ELSEWHERE)
            ])
    return table(['as reported, not measured here', *ELSEWHERE], rows)


def short_table() -> str:
    """Return the Markdown table of all methods for the front page."""
    rows = []
    for method in read_methods().values():
        is_ours = method.key == Path(OURS).parent.name
        folder = 'configs/sam3d' if is_ours else f'projects/{method.key}'
        linked = f'[{method.name}]({folder})'
        reported = '; '.join(f'{name} {scores}'
                             for name, scores in method.reported.items())
        rows.append([
            method.label.replace(method.name, linked, 1), method.reads,
            reported or '–'
        ])
    return table(
        ['method', 'reads', 'reported on ScanNet, AP25 / AP50, not here'],
        rows)
