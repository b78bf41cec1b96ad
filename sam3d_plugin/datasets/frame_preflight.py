"""Whether the stores of a prepared data set belong together.

Only headers and manifests are read, and the sizes of one file per scan.
"""
from dataclasses import dataclass
from typing import Any, Dict, Optional

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import checksum, is_local
from sam3d_plugin.store.frame_rows import SUFFIX
from sam3d_plugin.store.manifest import HEADER, Store, differences
from sam3d_plugin.store.records import ScanRecord
from sam3d_plugin.store.region_groups import GROUPS, RegionGroups

_TOOLS = dict(
    region_maps='tools/preparation/generate_regions.py',
    region_features='tools/preparation/extract_features.py',
    region_groups='tools/preparation/build_groups.py')
FRAME_DATASET = 'RGBDFrameDataset'
_SAMPLER = 'SeededSampler'

Records = Dict[str, ScanRecord]


@dataclass(frozen=True)
class FrameFolders:
    """Where a data set's frames are.

    Attributes:
        posed_images (str): Depth images, poses and cameras.
        region_maps (str): Id maps.
        region_features (Optional[str]): Features of regions, if wanted.
        region_groups (Optional[str]): Groups of regions, if wanted.
    """
    posed_images: str
    region_maps: str
    region_features: Optional[str] = None
    region_groups: Optional[str] = None


def open_store(root: str,
               kind: str,
               backend_args: Optional[dict] = None) -> Store:
    """A store that exists, of the version that this package reads.

    Args:
        root (str): Its folder.
        kind (str): What it must hold.
        backend_args (Optional[dict]): Arguments of the file backend.

    Returns:
        Store: The store.

    Raises:
        StoreError: When it is missing, or of another kind or version.
    """
    store = Store(root, backend_args)
    if not store.exists():
        raise StoreError(f'{root} is missing or no store; run '
                         f'{_TOOLS[kind]} first')
    found = store.header().get('kind')
    if found != kind:
        raise StoreError(f'{root} holds {found}, not {kind}; name the right '
                         'folder in data_prefix')
    return store


def check_features_match_maps(features: Store, maps: Store) -> None:
    """Refuse features of regions that another generator made.

    Args:
        features (Store): Region features.
        maps (Store): Id maps.

    Raises:
        StoreError: It names what differs.
    """
    theirs = features.header()['settings'].get('regions', {})
    found = differences(theirs, maps.header()['settings'])
    if found:
        raise StoreError(
            f'{features.root} was made of other regions than {maps.root} '
            f'holds: {"; ".join(found[:3])}; run '
            f'{_TOOLS["region_features"]} --out another folder, or name the '
            'id maps that belong to it in data_prefix')


def check_groups_match_features(groups: Store, features: Store,
                                feature_records: Records,
                                group_records: Records) -> None:
    """Refuse groups of features that have been made again since.

    Args:
        groups (Store): Region groups.
        features (Store): Region features.
        feature_records (Records): Of the features' manifest.
        group_records (Records): Of the groups' manifest.

    Raises:
        StoreError: When settings or content of the features were others.
    """
    made_of = groups.header()['settings'].get('features', {})
    lines = []
    for scan in sorted(set(group_records) - {GROUPS}):
        record = feature_records.get(scan)
        mark = record.files.get(f'{scan}{SUFFIX}') if record else None
        lines.append(f'{scan} {mark[1] if mark else None}')
    content = checksum('\n'.join(lines).encode())
    header = checksum(features.read(HEADER))
    if made_of.get('store') != header or made_of.get('content') != content:
        raise StoreError(
            f'{groups.root} was made of other features than {features.root} '
            f'holds; run {_TOOLS["region_groups"]} again with another --set, '
            'or remove the folder first')


def check_group_files(groups: Store, scans: Dict[str, Any],
                      group_records: Records, channels: int) -> None:
    """Refuse groups that leave out scans, or are of another width.

    Args:
        groups (Store): Region groups.
        scans (Dict[str, Any]): The scans that shall be read.
        group_records (Records): Of the groups' manifest.
        channels (int): C of the features.

    Raises:
        StoreError: When a file is missing or truncated, or the centroids
            have another width.
    """
    for scan in scans:
        record = group_records.get(scan)
        if record is None:
            raise StoreError(
                f'{groups.root} has no groups of {scan}; run '
                f'{_TOOLS["region_groups"]} for the same list of scans (with '
                '--centroids for a set that is not trained on)')
        for item in record.completed.values():
            check_sizes(groups, item.files, 'region_groups')
    check_sizes(groups, group_records[GROUPS].completed[GROUPS].files,
                'region_groups')
    centroids = RegionGroups(groups.root, groups.backend_args).groups()
    width = centroids.centroids.shape[1]
    if width != channels:
        raise StoreError(
            f'{groups.root} has centroids of {width} channels, the features '
            f'have {channels}; run {_TOOLS["region_groups"]} again')


def check_sizes(store: Store, files: Dict[str, Any], kind: str) -> None:
    """Refuse files that are missing or of another size than recorded.

    Args:
        store (Store): The store; remote ones are not asked.
        files (Dict[str, Any]): Marks by relative path.
        kind (str): Of the store.

    Raises:
        StoreError: It names the file.
    """
    if not is_local(store.root, store.backend_args):
        return
    for name, mark in files.items():
        if not store.is_there({name: mark}):
            raise StoreError(
                f'{store.path(name)} is missing or not of the {mark[0]:,} '
                f'bytes that its record tells; run {_TOOLS[kind]} again, '
                'which makes what is missing')


def check_frame_loader(loader: Dict[str, Any]) -> None:
    """Refuse a training loader that would repeat one epoch's points.

    Args:
        loader (Dict[str, Any]): Settings, e.g. ``train_dataloader``; those
            of other datasets pass.

    Raises:
        ValueError: When the sampler does not tell the dataset the epoch.
    """
    dataset = loader.get('dataset') or {}
    sampler = loader.get('sampler') or {}
    if (dataset.get('type') == FRAME_DATASET and not dataset.get('test_mode')
            and sampler.get('type') != _SAMPLER):
        raise ValueError(
            f'sampler {sampler.get("type")} does not tell RGBDFrameDataset '
            'seed and epoch, so every epoch would have the same points; use '
            f"sampler=dict(type='{_SAMPLER}', shuffle=True)")
