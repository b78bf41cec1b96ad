"""Time and peak memory of detectors and segmentors, and of generalized IoU.

Takes the first scene of a prepared data set through the pipeline of every
config, with random weights, and measures a training step (forward, backward,
optimizer) and a prediction: medians, and the growth of the peak memory during
one call. Every config runs in a process of its own. For 3DETR, ``assignment``
is its Hungarian assignment with all costs, and ``set_losses`` the rest of its
losses, forward only, of the same step. A segmentor predicts the whole scan, in
samples and with votes as its config says.
"""
import argparse
from typing import Any, Dict, List

import torch

from sam3d_plugin.cli.arguments import SettingAction
from sam3d_plugin.ops import pairwise_giou_3d
from sam3d_plugin.ops.random_state import seeded
from tools.benchmarks import giou_pairs, measuring

CONFIGS = ('votenet_scannet', 'votenet_scannet_pointnet2',
           'groupfree3d_scannet', 'groupfree3d_scannet_pointnet2',
           'three_detr_scannet', 'three_detr_scannet_vanilla',
           'three_detr_m_scannet', 'segmentor_scannet', 'votenet_scannet_mini',
           'groupfree3d_scannet_mini', 'three_detr_scannet_mini',
           'segmentor_scannet_mini')
# Scenes, queries and true boxes of the comparison, and how many of the pairs
# plain Python computes.
GIOU_SIZES = (8, 256, 64)
PYTHON_PAIRS = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument('--data', required=True, help='prepared data set')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='what to change in every config')
    parser.add_argument('--only', help='one config, in this process')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures of all configs and of the IoU, or of one config."""
    if args.only:
        return {args.only: measure_config(args)}
    return dict(
        giou=measure_giou(args.device, args.rounds),
        configs={
            name: measuring.measure_apart(args, name)
            for name in CONFIGS
        })


def measure_giou(device: str, rounds: int) -> Dict[str, float]:
    """Compare the vectorized generalized IoU with a loop over pairs.

    Returns the seconds of both and their ratio; Python's are scaled up from
    ``PYTHON_PAIRS`` pairs.
    """
    scenes, queries, boxes = GIOU_SIZES
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.rand(scenes, count, 7, generator=generator) *
        torch.tensor([4., 4, 2, 2, 2, 1, 6.28]) for count in (queries, boxes))
    pairs = [(a, b) for a in first[0].tolist()
             for b in second[0].tolist()][:PYTHON_PAIRS]
    slow = measuring.median_seconds(
        lambda: [giou_pairs.giou_of_pair(a, b) for a, b in pairs], rounds=1)
    slow *= scenes * queries * boxes / len(pairs)
    first, second = first.to(device), second.to(device)
    fast = measuring.median_seconds(lambda: pairwise_giou_3d(first, second),
                                    device, rounds)
    return dict(vectorised_s=fast, python_loop_s=slow, speedup=slow / fast)


def load_model(args: argparse.Namespace) -> Dict[str, Any]:
    """``model`` and ``optimizer`` of a config, ``train`` and ``val`` batch."""
    from mmdet3d.registry import MODELS
    from mmdet3d.utils import register_all_modules
    from mmengine.optim import build_optim_wrapper
    from mmengine.runner import Runner

    from sam3d_plugin.engine.options import read_config
    register_all_modules()
    cfg = read_config(
        str(measuring.ROOT / 'configs' / 'sam3d' / f'{args.only}.py'),
        dict(args.cfg_options, data_root=args.data))
    with seeded(0):
        model = MODELS.build(cfg.model)
        model.init_weights()
    parts = dict(model=model.to(args.device))
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = args.batch_size if split == 'train' else 1
        parts[split] = next(iter(Runner.build_dataloader(loader, seed=0)))
    parts['optimizer'] = build_optim_wrapper(model, cfg.optim_wrapper)
    return parts


def measure_config(args: argparse.Namespace) -> Dict[str, Any]:
    """Seconds and megabytes of one config, measured in this process."""
    parts = load_model(args)
    model = parts['model']
    calls = dict(
        train=lambda: model.train_step(parts['train'], parts['optimizer']),
        predict=torch.no_grad()(lambda: model.val_step(parts['val'])))
    result: Dict[str, Any] = {}
    for name, call in calls.items():
        model.train(name == 'train')
        result[f'{name}_s'] = measuring.median_seconds(call, args.device,
                                                       args.rounds)
        peak = measuring.added_bytes(call, args.device) / 2**20
        result[f'{name}_mb'] = round(peak)
    points = parts['val']['inputs']['points'][0]
    result.update(points=len(points), scenes_per_step=args.batch_size)
    if hasattr(getattr(model, 'bbox_head', None), 'assigner'):
        result.update(measure_set_losses(parts, args))
    return result


def measure_set_losses(parts: Dict[str, Any],
                       args: argparse.Namespace) -> Dict[str, float]:
    """Seconds of the assignment and of the losses of 3DETR."""
    model = parts['model'].train()
    head = model.bbox_head
    caught: List[tuple] = []
    original = head.loss_by_feat

    def catch(*inputs: Any) -> Dict[str, torch.Tensor]:
        caught.append(inputs)
        return original(*inputs)

    head.loss_by_feat = catch
    model(**model.data_preprocessor(parts['train'], True), mode='loss')
    head.loss_by_feat = original
    assignment, both = (
        measuring.median_seconds(lambda: call(*caught[0]), args.device,
                                 args.rounds)
        for call in (head._assign, original))
    return dict(assignment_s=assignment, set_losses_s=both - assignment)
