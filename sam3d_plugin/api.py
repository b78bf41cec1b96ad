"""From frames to boxes in Python, with the logic of the tools.

    from sam3d_plugin import Predictor, finetune, pretrain, save_html
    encoder = pretrain(frames='data/rooms', teacher='standin')
    detector = finetune(encoder, scans='data/rooms')
    found = Predictor(*detector)('room.ply')
    save_html(found.points, found.boxes, 'room.html')

Call them again to resume: finished work is kept. Everything runs in this
process; for several GPUs use the tools.
"""
import argparse
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Union

from . import shipped
from .cli.training import scene_limits, train
from .engine.export import export_backbone
from .engine.options import read_config
from .experiments.records import write_record
from .experiments.steps import last_checkpoint, length_options
from .preparation.features.encoders import ENCODERS, build_encoder
from .preparation.features.region_features_step import RegionFeatureStep
from .preparation.features.region_groups import GroupOptions, build_groups
from .preparation.features.selected_scans import select_scans
from .preparation.lifting.region_paths import name_all_region_files
from .preparation.lifting.scan_regions_step import (ScanRegionsStep,
                                                    describe_seen)
from .preparation.regions.generators import build_generator
from .preparation.regions.region_maps_step import RegionMapStep
from .preparation.running.runs import RunOptions, run_step
from .store.errors import OtherSettingsError, StoreError, UserError
from .store.manifest import MANIFEST, Store, differences

PathLike = Union[str, Path]
CONFIGS = shipped.FILES / 'configs' / 'sam3d'
STAGES = ('stage1_synthrooms_mini', 'stage2_ours_synthrooms_mini')
_TRAIN_INFOS = ('scannet_infos_train.pkl', 'sunrgbd_infos_train.pkl')
# What a work directory was called with.
_CALL = 'call.json'
# A user's program is not started again in worker processes.
_HERE = RunOptions(workers=0, must_make=True)


class Trained(NamedTuple):
    """A trained model, as ``Predictor(*trained)`` takes it."""
    config: str  # Its complete config
    checkpoint: str  # Its weights


def pretrain(frames: PathLike,
             teacher: str = 'handcrafted',
             out: PathLike = 'work_dirs/pretraining',
             steps: Optional[int] = None,
             options: Optional[Dict[str, Any]] = None) -> str:
    """Pre-train an encoder on posed RGB-D frames, both stages.

    2D regions (superpixels) and groups are made where the data set lacks
    them, features by the teacher. Frames of ``scannet_infos_train.pkl`` or
    ``sunrgbd_infos_train.pkl`` are trained on, or all where there is neither.

    Args:
        frames (PathLike): Data set with ``posed_images``, as
            tools/preparation writes it: meters, z up.
        teacher (str): Image encoder whose features are predicted:
            'handcrafted', 'standin' or a checkpoint of DINOv2 ViT-B.
        out (PathLike): Work directory.
        steps (Optional[int]): Of each stage, >= 2. Defaults to 500.
        options (Optional[Dict[str, Any]]): Settings over those of the configs
            of both stages, as ``--cfg-options``.

    Returns:
        str: Folder of the encoder, see tools/export_backbone.py.

    Raises:
        UserError: When frames are missing, an argument is wrong, or ``out``
            holds a training of other settings; before anything is made.
        StoreError: When features are those of another teacher. It names the
            folders to remove.

    Examples:
        >>> from sam3d_plugin import pretrain
        >>> pretrain(frames='data/rooms', teacher='handcrafted', steps=2)
        'work_dirs/pretraining/encoder'
    """
    root, teacher = Path(frames), str(teacher)
    infos = next((n for n in _TRAIN_INFOS if (root / n).is_file()), '')
    shared = {
        'data_root': str(root),
        'train_dataloader.dataset.ann_file': infos,
        **length_options(steps),
        **(options or {})
    }
    first, second = (CONFIGS / f'{name}.py' for name in STAGES)
    # Whatever can be refused is, before hours of preparation.
    _check_inputs(root, teacher)
    for config in (first, second):
        read_config(str(config), shared)
    _claim(Path(out), dict(teacher=teacher, options=shared))
    channels = _prepare_frames(root, teacher, infos)
    stage1 = _train(first, Path(out, 'stage1'), {
        'model.head.out_channels': channels,
        **shared
    })
    stage2 = _train(
        second, Path(out, 'stage2'), {
            'model.region_head.out_channels': channels,
            'teacher': stage1.checkpoint,
            **shared
        })
    encoder = str(Path(out, 'encoder'))
    export_backbone(stage2.checkpoint, encoder)
    return encoder


def finetune(encoder: Optional[PathLike],
             scans: PathLike,
             out: PathLike = 'work_dirs/finetuning',
             config: str = 'votenet_synthrooms_mini',
             steps: Optional[int] = None,
             options: Optional[Dict[str, Any]] = None) -> Trained:
    """Train a detector or segmentor that starts from an encoder.

    Region ids of the scans' points are lifted from the frames where the
    tokens need them and the data set lacks them.

    Args:
        encoder (Optional[PathLike]): Folder or file of an encoder; None
            starts from a fresh one.
        scans (PathLike): Data set in mmdet3d's form, as tools/preparation
            writes it.
        out (PathLike): Work directory.
        config (str): Path of a config, or name of one in configs/sam3d.
        steps (Optional[int]): Of a config that counts steps, >= 2. Defaults
            to what the config says.
        options (Optional[Dict[str, Any]]): Settings over those of the config,
            as ``--cfg-options``.

    Returns:
        Trained: Config and checkpoint.

    Raises:
        UserError: When data are missing or do not fit, the encoder has other
            tokens, or ``out`` holds a training of other settings.

    Examples:
        >>> from sam3d_plugin import finetune
        >>> detector = finetune(
        ...     'work_dirs/pretraining/encoder', scans='data/rooms', steps=2)
        >>> detector.checkpoint
        'work_dirs/finetuning/iter_2.pth'
    """
    path = Path(config)
    if path.suffix != '.py':
        path = CONFIGS / f'{config}.py'
    settings = {'data_root': str(scans), **length_options(steps)}
    if encoder is not None:
        settings['model.backbone.init_cfg'] = dict(
            type='Pretrained', checkpoint=str(encoder))
    settings.update(options or {})
    cfg = read_config(str(path), settings)
    if scene_limits(cfg.model).needs_regions:
        _lift_regions(Path(scans))
    return _train(path, Path(out), settings)


def _check_inputs(root: Path, teacher: str) -> None:
    """UserError without frames or the image encoder's weights."""
    if not (root / 'posed_images').is_dir():
        raise UserError(
            f'{root} has no posed_images: import frames with '
            'tools/preparation/import_rgbd_folder.py, or make rooms with '
            'make_synthrooms.py')
    if teacher not in ENCODERS and not Path(teacher).is_file():
        raise UserError(f'teacher {teacher} is missing: name a checkpoint of '
                        f'timm, or one of {", ".join(ENCODERS)}')


def _prepare_frames(root: Path, teacher: str, infos: str) -> int:
    """Make what stage 1 reads; returns the channels of the features."""
    maps, features = root / 'region_maps', root / 'region_features'
    encoder = build_encoder(teacher, {}) if teacher in ENCODERS else (
        build_encoder('timm', dict(checkpoint=teacher)))
    if not (maps / MANIFEST).is_file():
        run_step(
            RegionMapStep(root / 'posed_images',
                          build_generator('superpixel', {})), maps, _HERE)
    with _remedy(root, 'region_features', 'region_groups'):
        run_step(
            RegionFeatureStep(root / 'posed_images', maps, encoder), features,
            _HERE)
    scans = select_scans(None, str(root / infos) if infos else None)
    numbers = _numbers(features, scans)
    most = sum(fields['regions'] for fields in numbers)
    with _remedy(root, 'region_groups'):
        build_groups(
            features,
            root / 'region_groups' / 'train',
            scans,
            options=GroupOptions(groups=min(GroupOptions.groups, most)))
    return numbers[0]['channels']


@contextmanager
def _remedy(root: Path, *folders: str) -> Iterator[None]:
    """Name the folders to remove where they are of other settings."""
    try:
        yield
    except OtherSettingsError as error:
        paths = ' and '.join(str(root / name) for name in folders)
        raise StoreError(f'{error.reason}; remove {paths} to make them again, '
                         'or give the arguments of before') from error


def _numbers(features: Path,
             scans: Optional[List[str]]) -> List[Dict[str, Any]]:
    """Numbers of regions and channels of the frames of some scans."""
    records = Store(features).manifest()
    return [
        item.fields for scan, record in records.items()
        if scans is None or scan in scans
        for item in record.completed.values()
    ]


def _lift_regions(root: Path) -> None:
    """Give the points of all scans the regions of their frames.

    Not where that was done, or where there are no frames: training says what
    is missing.
    """
    out = root / 'regions'
    if (out / MANIFEST).is_file() or not (root / 'region_maps' /
                                          MANIFEST).is_file():
        return
    run_step(ScanRegionsStep(root), out, _HERE)
    print(f'  {describe_seen(out)}')
    name_all_region_files(root, out)


def _train(config: Path, work_dir: Path, options: Dict[str, Any]) -> Trained:
    """Train as tools/train.py does with ``--resume``."""
    _claim(work_dir, dict(config=config.stem, options=options))
    train(
        argparse.Namespace(
            config=str(config),
            cfg_options=options,
            work_dir=str(work_dir),
            resume='auto',
            amp=False,
            sync_bn='none',
            auto_scale_lr=False,
            launcher='none',
            local_rank=0))
    cfg = read_config(str(config), options)
    return Trained(
        str(work_dir / config.name), str(work_dir / last_checkpoint(cfg)))


def _claim(work_dir: Path, call: Dict[str, Any]) -> None:
    """Refuse to resume a training of other settings.

    A call that failed before its first checkpoint claims nothing.
    """
    note = work_dir / _CALL
    call = json.loads(json.dumps(call))
    if any(work_dir.rglob('*.pth')):
        if not note.is_file():
            raise UserError(f'{work_dir} holds checkpoints of unknown '
                            'settings: name another out')
        found = differences(json.loads(note.read_text()), call)
        if found:
            raise UserError(f'{work_dir} holds a training of other settings '
                            f'({found[0]}): name another out')
    write_record(note, call)
