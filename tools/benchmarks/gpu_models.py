"""Every model of this repository with a batch made in memory, for gpu_check.

Shapes: B scenes, N points.
"""
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.ops.random_state import seeded
from tools.benchmarks import pretraining_steps as steps
from tools.benchmarks.pretraining_ratios import make_batch

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    'stage 1': 'configs/sam3d/stage1_scannet',
    'stage 2': 'configs/sam3d/stage2_scannet',
    'joint': 'configs/sam3d/ablations/table4_stage1_mtp_joint',
    'kNN teacher': 'configs/sam3d/ablations/teacher_knn_balance',
    'Point-MAE': 'projects/point_mae/configs/point_mae',
    'VoteNet': 'configs/sam3d/votenet_scannet',
    'VoteNet, rotated': 'configs/sam3d/votenet_sunrgbd',
    'VoteNet, PointNet++': 'configs/sam3d/votenet_scannet_pointnet2',
    'GroupFree3D': 'configs/sam3d/groupfree3d_scannet',
    'GroupFree3D, rotated': 'configs/sam3d/groupfree3d_sunrgbd',
    '3DETR': 'configs/sam3d/three_detr_scannet',
    '3DETR, rotated': 'configs/sam3d/three_detr_sunrgbd',
    '3DETR-m': 'configs/sam3d/three_detr_m_scannet',
    'V-DETR': 'configs/sam3d/vdetr_scannet',
    'segmentor': 'configs/sam3d/segmentor_scannet',
    'segmentor, S3DIS': 'configs/sam3d/segmentor_s3dis',
    'VoteNet, voxels': 'configs/sam3d/votenet_scannet_voxels',
    'segmentor, voxels': 'configs/sam3d/segmentor_scannet_voxels',
}
REGIONS = 24
_SIZE = np.array([4., 3., 2.])
# What shrinks a component, by its type.
_TINY: Dict[str, Dict[str, Any]] = dict(
    PointPatchEmbed=dict(embed_dims=32, hidden_dims=(8, 16, 32)),
    PlainPointTransformer=dict(embed_dims=32, position_dims=16),
    SAMTokenizer=dict(num_tokens=64),
    KNNTokenizer=dict(num_tokens=64, num_neighbors=16),
    RegionDistillHead=dict(in_channels=32, out_channels=12),
    GlobalFeatureHead=dict(
        in_channels=32, hidden_channels=16, out_channels=32),
    NeighborhoodHead=dict(in_channels=32, num_neighbors=16),
    PointTokenSegHead=dict(in_channels=32, hidden_channels=(24, 16)),
    # Fewer levels than published, so that none has a few voxels only: norms
    # of those blow rounding up.
    SparseUNetBackbone=dict(voxel_size=.25),
    SparseVoxelUNet=dict(
        stem_channels=8,
        encoder_channels=(8, 16),
        decoder_channels=(16, 16),
        encoder_blocks=(1, 2),
        decoder_blocks=(2, 1)),
    PointSegHead=dict(in_channels=16),
    GroupFree3DHead=dict(num_decoder_layers=3, num_proposal=64),
    RotatedGroupFree3DHead=dict(num_decoder_layers=3, num_proposal=64),
    PointNet2SASSG=dict(
        num_points=(128, 96, 64, 64), num_samples=(16, 8, 8, 8)))


class ModelCase(NamedTuple):
    """A model and what it is given.

    Attributes:
        model (Any): In training mode, on the CPU.
        optimizer (torch.optim.Optimizer): The config's.
        batch (Dict[str, Any]): What a loader hands over.
        predicts (bool): Whether it is a detector or segmentor.
    """

    model: Any
    optimizer: torch.optim.Optimizer
    batch: Dict[str, Any]
    predicts: bool


def load_config(name: str, tiny: bool) -> Config:
    """Read a config, without the files that it names."""
    cfg = read_config(str(ROOT / f'{CONFIGS[name]}.py'), {})
    loss: Any = (cfg.model.get('head') or {}).get('loss') or {}
    if loss.get('type') == 'GroupBalancedDistillLoss':
        loss['counts'] = [1, 2, 3]
    if tiny:
        _shrink(cfg.model)
    return cfg


def _shrink(part: Any) -> None:
    """Make a part of a config small, and all that is in it."""
    if isinstance(part, list):
        for item in part:
            _shrink(item)
    if not isinstance(part, dict):
        return
    for value in part.values():
        _shrink(value)
    part.update(_TINY.get(part.get('type', ''), {}))
    if 'num_point' in part:
        part['num_point'] = 48
    if part.get('num_seeds'):
        part['num_seeds'] = 64
    if part.get('type') in ('ThreeDETRHead', 'VDETRHead'):
        part['decoder']['num_layers'] = 2
        if part.get('num_queries'):
            part['num_queries'] = 16


def build_case(name: str,
               tiny: bool,
               num_points: int,
               num_scenes: int = 2) -> ModelCase:
    """Build a model, always with the same weights, and a batch for it."""
    cfg = load_config(name, tiny)
    if 'target_generator' in cfg.model:
        case = steps.build_case(cfg, 'cpu', 'fp32')
        channels = cfg.model.head.get('out_channels') or 1
        batch = make_batch([REGIONS, REGIONS // 2] * (num_scenes // 2),
                           num_points, channels)
        return ModelCase(case.model, case.optimizer, batch, False)
    head = cfg.model.get('bbox_head') or cfg.model.decode_head
    with_rot = head.get('bbox_coder', {}).get('with_rot', False)
    num_classes = head.num_classes
    scenes = [
        make_scene(num_points, num_classes, with_rot, seed)
        for seed in range(num_scenes)
    ]
    with seeded(0):
        model = MODELS.build(cfg.model)
        model.init_weights()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    return ModelCase(
        model.train(), wrapper.optimizer,
        dict(
            inputs=dict(points=[points for points, _ in scenes]),
            data_samples=[sample for _, sample in scenes]), True)


def make_scene(num_points: int, num_classes: int, with_rot: bool,
               seed: int) -> Tuple[Tensor, Det3DDataSample]:
    """A room with five boxes that hold half of its points.

    Returns (N, 4) x, y, z in meters, region id; and boxes, and per point
    instance and class, ``num_classes`` outside boxes.
    """
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 1, (num_points, 3)) * _SIZE
    boxes = np.hstack([
        rng.uniform(.2, .8, (5, 3)) * _SIZE,
        rng.uniform(.4, 1., (5, 3)),
        rng.uniform(-3, 3, (5, 1)) * with_rot
    ])
    labels = rng.integers(0, num_classes, 5)
    instance = np.zeros(num_points, np.int64)
    semantic = np.full(num_points, num_classes)
    octants = (xyz > _SIZE / 2) @ np.array([1, 2, 4])
    for i, box in enumerate(boxes):
        part = slice(i * num_points // 10, (i + 1) * num_points // 10)
        offset = rng.uniform(-.49, .49, xyz[part].shape) * box[3:6]
        cos, sin = np.cos(box[6]), np.sin(box[6])
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        xyz[part] = box[:3] + offset @ turn.T
        instance[part], semantic[part] = i + 1, labels[i]
    region = np.where(instance > 0, instance + 8, octants + 1)
    sample = Det3DDataSample(
        metainfo=dict(
            box_type_3d=DepthInstance3DBoxes, lidar_path=f'{seed}.bin'))
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(
            torch.tensor(boxes, dtype=torch.float32),
            with_yaw=with_rot,
            origin=(.5, .5, .5)),
        labels_3d=torch.tensor(labels))
    sample.gt_pts_seg = PointData(
        pts_instance_mask=torch.tensor(instance),
        pts_semantic_mask=torch.tensor(semantic))
    points = np.column_stack([xyz, region]).astype(np.float32)
    return torch.from_numpy(points), sample


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Leave out what draws random numbers, which differ between devices."""
    changed: List[Tuple[nn.Module, str, Any]] = []
    for module in model.modules():
        for name in ('p', 'drop_prob', 'dropout', 'drop_path'):
            value = getattr(module, name, None)
            if isinstance(value, float) and value > 0:
                changed.append((module, name, value))
                setattr(module, name, 0.)
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


def run_step(case: ModelCase,
             device: str,
             dtype: Optional[torch.dtype] = None) -> Dict[str, float]:
    """One step of training.

    Args:
        case (ModelCase): What is trained; its model moves to the device.
        device (str): ``'cpu'`` or ``'cuda'``.
        dtype (Optional[torch.dtype]): Of autocast; None for float32.

    Returns:
        Dict[str, float]: The losses, and ``grad_norm``.

    Raises:
        FloatingPointError: When a loss or the gradient is not finite.
    """
    data = case.model.data_preprocessor(case.batch, True)
    with torch.autocast(device, dtype or torch.bfloat16, dtype is not None):
        losses = case.model(**data, mode='loss')
    loss, logged = case.model.parse_losses(losses)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(case.model.parameters(), 1e9)
    case.optimizer.step()
    case.optimizer.zero_grad()
    found = {name: float(value) for name, value in logged.items()}
    found['grad_norm'] = float(norm)
    bad = [name for name, value in found.items() if not np.isfinite(value)]
    if bad:
        raise FloatingPointError(f'not finite: {", ".join(bad)}')
    return found


def predict(case: ModelCase) -> Dict[str, float]:
    """Predict the batch, scene by scene as mmdet3d does."""
    case.model.eval()
    with torch.no_grad():
        samples = case.model.test_step(
            dict(
                inputs=dict(points=case.batch['inputs']['points'][:1]),
                data_samples=case.batch['data_samples'][:1]))
    case.model.train()
    if 'pred_pts_seg' in samples[0]:
        logits = samples[0].pts_seg_logits.pts_seg_logits
        return dict(points=logits.shape[1], logits=float(logits.abs().mean()))
    instances = samples[0].pred_instances_3d
    return dict(boxes=len(instances), scores=float(instances.scores_3d.sum()))
