"""What a trained and evaluated run leaves behind, as one JSON file.

    arm, seed, config, options     what ran
    config_hash, data, encoder     what its result depends on, with
      start, best, checkpoint      load_from, --best, --checkpoints if any
    scored_on                      names of the data that its scores are of
    commit                         of the code that trained and evaluated,
                                   with -dirty where files differed from it
    hardware, seconds              where and how long
    scores                         by checkpoint (last, best), one dict of
                                   metrics per evaluation
"""
import json
import pickle
from pathlib import Path
from typing import (Any, Dict, Iterator, List, Mapping, Optional, Sequence,
                    Union)

from mmengine.config import Config

from ..datasets.preflight import annotation_files, find_leaf_datasets
from ..engine.work_dir import locked_work_dir
from ..store import atomic_write, provenance
from ..store.encoder_folder import WEIGHTS, is_encoder_folder
from ..store.errors import RecordError, UserError
from ..store.manifest import differences
from ..store.provenance import (digest, file_digest, file_digests,
                                settings_digest)

# Settings that a result depends on; logging and folders it does not.
_SETTINGS = ('model', 'train_dataloader', 'test_dataloader', 'optim_wrapper',
             'param_scheduler', 'train_cfg', 'test_evaluator', 'custom_hooks',
             'randomness', 'load_from')
_LOADERS = ('train_dataloader', 'test_dataloader')
_MANIFEST, _REGIONS = 'manifest.json', 'regions of '
# What a training depends on, and where its work directory says so.
_OF_TRAINING = ('config_hash', 'data', 'encoder', 'start', 'best')
TRAINING = 'training.json'


def config_hash(cfg: Config) -> str:
    """Checksum of the settings that a result depends on.

    Args:
        cfg (Config): The whole configuration, options merged. The data root
            may differ, the seed may not.

    Returns:
        str: 16 hexadecimal digits.
    """
    roots = [dataset['data_root'] for dataset in leaf_datasets(cfg)]
    return settings_digest(cfg, _SETTINGS, roots)


def leaf_datasets(cfg: Config,
                  loaders: Sequence[str] = _LOADERS) -> List[Dict[str, Any]]:
    """Data sets of some loaders without their wrappers.

    Returns the settings of those with annotation files, with ``data_root``
    and ``ann_files`` (a list) in each.
    """
    return [
        dict(
            leaf,
            data_root=leaf.get('data_root', ''),
            ann_files=annotation_files(leaf)) for name in loaders
        for leaf in find_leaf_datasets((
            cfg.get(name) or {}).get('dataset') or {})
        if annotation_files(leaf)
    ]


def data_checksums(cfg: Config) -> Dict[str, Optional[str]]:
    """Checksums of a config's data: infos, manifest, and regions it reads.

    Returns them by name inside the data root, and by 'regions of INFOS'; None
    for what is not there.
    """
    checksums: Dict[str, Optional[str]] = {}
    for dataset in leaf_datasets(cfg):
        root = Path(dataset['data_root'] or '.')
        checksums.update(
            file_digests(root, [_MANIFEST, *dataset['ann_files']]))
        for step in dataset.get('pipeline') or ():
            if step['type'].endswith('LoadRegionIds'):
                for name in dataset['ann_files']:
                    files = list(_region_files(dataset, step, root / name))
                    if files:
                        checksums[_REGIONS + name] = _files_digest(files, root)
    return checksums


def scored_on(cfg: Config) -> List[str]:
    """Names in :func:`data_checksums` of the data that scores are of."""
    return [
        name for dataset in leaf_datasets(cfg, ('test_dataloader', ))
        for name in (_MANIFEST, *dataset['ann_files'])
    ]


def _region_files(dataset: Dict[str, Any], step: Dict[str, Any],
                  infos: Path) -> Iterator[Path]:
    """Files that ``LoadRegionIds`` will read for the scans of some infos."""
    try:
        scans = pickle.loads(infos.read_bytes())['data_list']
    except (OSError, EOFError, AttributeError, ImportError, LookupError,
            TypeError, ValueError, pickle.UnpicklingError):
        return  # the training says what is wrong with them
    points = (dataset.get('data_prefix') or {}).get('pts', 'points')
    for scan in scans:
        if scan.get('pts_region_path'):
            path = Path(dataset['data_root'] or '.', points,
                        scan['lidar_points']['lidar_path'])
            yield (path.parent.parent / step.get('region_folder', 'regions') /
                   scan['pts_region_path'])


def _files_digest(paths: Sequence[Path], root: Path) -> Optional[str]:
    """One checksum of the names and contents of files, whatever their order.

    What they hold counts, not what the manifest of their maker says: files
    are replaced by hand, and imported scans have no manifest.
    """
    checksums = {
        str(path.relative_to(root)): file_digest(path)
        for path in paths
    }
    if None in checksums.values():
        return None
    return digest(json.dumps(checksums, sort_keys=True).encode())


def encoder_mark(cfg: Config) -> Optional[Dict[str, Optional[str]]]:
    """File and checksum of the pre-trained encoder; None for a fresh one."""
    init: Any = (cfg.model.get('backbone') or {}).get('init_cfg') or {}
    return file_mark(init.get('checkpoint'))


def file_mark(path: Optional[str]) -> Optional[Dict[str, Optional[str]]]:
    """Name and checksum of a file, if one is named; of a folder's weights."""
    if not path:
        return None
    file = Path(path, WEIGHTS) if is_encoder_folder(path) else Path(path)
    return dict(file=Path(path).name, sha256=file_digest(file))


def arm_kind(cfg: Config) -> str:
    """'stock', 'pretrained' or 'fresh', for the column of reported numbers."""
    backbone: Any = cfg.model.get('backbone') or {}
    if encoder_mark(cfg):
        return 'pretrained'
    return 'fresh' if 'tokenizer' in backbone else 'stock'


def claim_work_dir(work_dir: Path, description: Dict[str, Any]) -> None:
    """Note in a work directory what its training depends on.

    Args:
        work_dir (Path): Of one training; made where it is missing.
        description (Dict[str, Any]): Of the run that wants it.

    Raises:
        RecordError: When it holds checkpoints of other settings or data, or
            nothing says of which.
    """
    note = work_dir / TRAINING
    keys = ('config', 'options', *_OF_TRAINING)
    wanted = {key: description[key] for key in keys}
    with locked_work_dir(work_dir):
        if not list(work_dir.glob('*.pth')):
            write_record(note, wanted)
            return
    if not note.is_file():
        raise RecordError(
            f'{work_dir} holds checkpoints, and nothing says of which '
            'settings and data; name them with --checkpoints, or choose '
            'another --work-dir')
    found = json.loads(note.read_text())
    if any(found.get(key) != wanted[key] for key in _OF_TRAINING):
        # The hash says nothing more than a config or an option that differs.
        ordered = ('config', 'options', *_OF_TRAINING[1:], 'config_hash')
        changes = [
            text for key in ordered
            for text in differences({key: found.get(key)}, {key: wanted[key]})
        ]
        raise RecordError(
            f'{work_dir} holds a training of other settings or data: '
            f'{"; ".join(changes[:3])}. Choose another --work-dir, or remove '
            'the folder; --checkpoints evaluates files that exist')


def note_commit(note: Path) -> None:
    """Add the code's commit to those that trained in a work directory."""
    found = json.loads(note.read_text())
    found['commits'] = _unique(
        [*found.get('commits', ()),
         provenance.commit()])
    write_record(note, found)


def commits_of(note: Path) -> str:
    """Commits of :func:`note_commit`, if any, and that of now."""
    found = json.loads(note.read_text()) if note.is_file() else {}
    return ', '.join(_unique([*found.get('commits', ()), provenance.commit()]))


def _unique(names: Sequence[str]) -> List[str]:
    return list(dict.fromkeys(names))


def describe_commits(arms: Mapping[str, Sequence[str]]) -> List[str]:
    """A sentence for tables whose arms are not all of one known commit.

    The list is empty for one commit of which no file differed.
    """
    found = {name: ', '.join(_unique(names)) for name, names in arms.items()}
    texts = set(found.values())
    if len(texts) > 1 or ',' in ''.join(texts):
        listed = '; '.join(f'{text} ({name})' for name, text in found.items())
        return [f'Trained or evaluated by different commits: {listed}.']
    changed = [t for t in texts if t.endswith('-dirty') or t == 'unknown']
    return [f'The code may differ from its commit: {t}.' for t in changed]


def write_record(path: Path, record: Dict[str, Any]) -> None:
    """Write a JSON file at once, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'w') as file:
        json.dump(record, file, indent=1)
        file.write('\n')


def read_json(path: Union[str, Path]) -> Dict[str, Any]:
    """Read a JSON file; {} where there is none."""
    return json.loads(Path(path).read_text()) if Path(path).is_file() else {}


def read_records(folder: Path) -> List[Dict[str, Any]]:
    """Read the runs of an arm.

    Args:
        folder (Path): Folder with ``seed_*.json``.

    Returns:
        List[Dict[str, Any]]: By seed.

    Raises:
        ValueError: When there is none, one is broken, or they are not runs
            of one arm on the same data.
    """
    records = []
    for path in sorted(folder.glob('seed_*.json')):
        try:
            record = json.loads(path.read_text())
            records.append({key: record[key] for key in record})
            int(record['seed']), record['scores']['last'], record['data']
            record['scored_on'], record['commit']
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f'{path} is not a complete record of a run '
                            f'({error!r}); remove it and evaluate '
                            'again') from error
    if not records:
        raise UserError(f'{folder} holds no seed_*.json; make them with '
                        'tools/experiments/evaluate.py')
    for record in records[1:]:
        found = differences(_shared(records[0]), _shared(record))
        if found:
            raise RecordError(
                f'{folder}: seeds {records[0]["seed"]} and '
                f'{record["seed"]} differ in {found[0]}, so they are not runs '
                'of one arm; give each arm a folder of its own')
    return sorted(records, key=lambda record: record['seed'])


def _shared(record: Dict[str, Any]) -> Dict[str, Any]:
    """What the runs of an arm must have in common."""
    options = record.get('options') or {}
    keys = ['config', 'options']
    if '{seed}' not in str(options):
        keys += ['encoder', 'start']
    data = record['data']
    if _trains_on_data_of_seed(options):
        data = scored_checksums(record)
    return {**{key: record.get(key) for key in keys}, 'data': data}


def _trains_on_data_of_seed(options: Dict[str, Any]) -> bool:
    """Whether every training has its own data, such as few labels."""
    return any('{seed}' in str(value) for key, value in options.items()
               if key == 'data_root' or key.startswith('train_dataloader'))


def scored_checksums(record: Dict[str, Any]) -> Dict[str, str]:
    """Checksums of the data that a run's scores are of.

    Returns them by name, where there are any. Regions are not among them: they
    are made for a model, and arms may differ in them.
    """
    checksums = {
        name: record['data'].get(name)
        for name in record['scored_on']
    }
    return {name: checksum for name, checksum in checksums.items() if checksum}


def data_conflict(one: Dict[str, str], other: Dict[str, str]) -> str:
    """What tells that two scores are of different data.

    Infos count whatever their names are: those of two areas have two names.

    Args:
        one (Dict[str, str]): See :func:`scored_checksums`.
        other (Dict[str, str]): The same.

    Returns:
        str: In words; empty if nothing does.
    """
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            return (f'the checksum of {name} is {one[name]} in one and '
                    f'{other[name]} in the other')
    infos, others = ({
        mark
        for name, mark in checksums.items() if name != _MANIFEST
    } for checksums in (one, other))
    if infos and others and infos != others:
        return f'{", ".join(one)} and {", ".join(other)}'
    return ''
