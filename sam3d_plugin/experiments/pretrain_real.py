"""Every method on real frames: losses, and the spread of tokens."""
import argparse
import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import DATASETS, MODELS
from mmengine.registry import init_default_scope
from torch import Tensor

from ..datasets import frame_batch
from ..engine.hooks import collapse_alarm_hook, feature_view
from ..engine.options import read_config
from ..store import provenance
from ..store.checkpoint import read_checkpoint
from ..store.literals import settings_of
from ..store.loading import load_encoder
from .methods import OURS, clouds_per_frame, pipeline_of, read_methods
from .records import write_record
from .steps import Command, run_steps, training
from .zoo import objects_step, pairs_step

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    stage: f'configs/sam3d/{stage}_synthrooms_mini.py'
    for stage in ('stage1', 'stage2')
}
RECORDINGS = ('7scenes', 'scannet')
CHANNELS = 60  # of the handcrafted region features
TOKENIZERS: Dict[str, Dict[str, Any]] = {
    'sam': {},
    'knn':
    dict(_delete_=True, type='KNNTokenizer', num_tokens=128, num_neighbors=32)
}
# The recording that the other methods are trained on, and what it lacks of
# what they read.
OVERLAPPING = '7scenes'
METHOD_OPTIONS: Dict[str, Dict[str, Any]] = {
    'bridge3d': {
        f'model.{head}.out_channels': CHANNELS
        for head in ('region_image', 'scene_image')
    },
    'clip2scene': {
        'model.head.out_channels': CHANNELS
    },
    'seal': {
        'model.image_channels': CHANNELS
    },
}
# Terms that rise whatever the network learns: their weight, or the number of
# their candidates, grows in the first steps.
RISING = {
    ('point_bert_dvae', 'loss_uniform'): 'its weight rises from 0',
    ('act_vae', 'loss_uniform'): 'its weight rises from 0',
    ('point_bert', 'loss_scene'): 'its queue fills',
    ('depth_contrast', 'loss_contrast'): 'its queue fills',
    ('dpco', 'loss_global'): 'its queues fill'
}
ENDS = 10  # steps at both ends of a training that are compared


def stage_steps(args: argparse.Namespace, recording: str,
                tokens: str) -> Dict[str, Command]:
    """The trainings of both stages."""
    options = dict(
        common_options(args, recording), **{
            'train_dataloader.batch_size': args.frames,
            'train_dataloader.dataset.pipeline.0.num_points': args.points,
        })
    if TOKENIZERS[tokens]:
        options['model.backbone.tokenizer'] = TOKENIZERS[tokens]
    folder = f'{args.work_dir}/{recording}_{tokens}'
    first = training(CONFIGS['stage1'], f'{folder}/stage1', {
        **options, 'model.head.out_channels': CHANNELS
    })
    second = training(CONFIGS['stage2'], f'{folder}/stage2', {
        **options, 'teacher': first.output
    })
    return dict(stage1=first, stage2=second)


def common_options(args: argparse.Namespace, recording: str) -> Dict[str, Any]:
    """Settings of every training on a recording."""
    return {
        'data_root': f'{args.data}/{recording}/',
        'train_cfg.max_iters': args.steps,
        'param_scheduler.0.end': ENDS,
        'param_scheduler.1.begin': ENDS,
        'param_scheduler.1.end': max(args.steps, ENDS + 1),
        'default_hooks.checkpoint.interval': args.steps,
        'default_hooks.logger.interval': 1,
        'log_processor.window_size': 1,
    }


def method_steps(args: argparse.Namespace, key: str) -> Dict[str, Command]:
    """The trainings of another method, with the points of its mini config."""
    steps: Dict[str, Command] = {}
    for stage in read_methods()[key].stages:
        config = stage.configs['mini']
        loader = read_config(config, {}).train_dataloader
        views = clouds_per_frame(pipeline_of(loader))
        options = dict(
            common_options(args, OVERLAPPING), **METHOD_OPTIONS.get(key, {}))
        options['train_dataloader.batch_size'] = max(args.frames // views, 1)
        if stage.teacher:
            options['teacher'] = steps[stage.teacher].output
        steps[stage.name] = training(config, f'{args.work_dir}/{stage.name}',
                                     options)
    return steps


def read_losses(work_dir: Path) -> Dict[str, Dict[str, float]]:
    """Compare the first steps of a training with its last ones.

    Returns ``first`` and ``last``, means over ten steps, by loss term.
    """
    log = max(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    terms = [key for key in lines[0] if key.startswith('loss_')]
    return {
        term: {
            end: sum(line[term] for line in part) / len(part)
            for end, part in (('first', lines[:ENDS]), ('last', lines[-ENDS:]))
        }
        for term in terms
    }


def learnt_share(predictions: Tensor, targets: Tensor,
                 is_counted: Tensor) -> float:
    """Share of what differs between targets that predictions explain.

    Args:
        predictions (Tensor): (B, G, C).
        targets (Tensor): (B, G, C).
        is_counted (Tensor): (B, G) bool.

    Returns:
        float: 1 minus the squared error over that of the targets' mean; 0 for
        one that predicts the mean everywhere, below for one that is worse.
    """
    predicted, wanted = predictions[is_counted], targets[is_counted]
    error = (predicted - wanted).square().mean()
    return float(1 - error / (wanted - wanted.mean(0)).square().mean())


@torch.no_grad()
def look_at(checkpoint: str, num_frames: int = 8) -> Dict[str, float]:
    """Measure the tokens of a trained model on frames of its training.

    Returns the spread, 0 where all tokens of a frame are alike, of the
    encoder's ``features``, of ``predictions`` and of ``targets``
    (``targets_normalized``: with ``normalize=True``), and ``learnt``, see
    :func:`learnt_share`.
    """
    init_default_scope('mmdet3d')
    content = read_checkpoint(checkpoint)
    settings = settings_of(content)
    model: Any = MODELS.build(settings['model'])
    load_encoder(model, content['state_dict'], source=checkpoint)
    dataset: Any = DATASETS.build(settings['train_dataloader']['dataset'])
    frames = range(0, len(dataset), max(1, len(dataset) // num_frames))
    batch = frame_batch.collate_frames(
        [dataset[i] for i in frames[:num_frames]])
    view = feature_view.view_features(model, batch)
    targets, is_target = find_targets(model, batch)
    assert view.predictions is not None
    predictions, is_predicted = view.predictions
    is_compared = is_predicted & is_target
    token_spread = collapse_alarm_hook.token_spread
    spreads = dict(
        features=token_spread(view.features, view.is_place),
        predictions=token_spread(predictions, is_compared),
        targets=token_spread(targets, is_target),
        targets_normalized=token_spread(
            F.layer_norm(targets, targets.shape[-1:]), is_target))
    figures = {name: float(spread) for name, spread in spreads.items()}
    figures['learnt'] = learnt_share(predictions, targets, is_compared)
    return figures


def find_targets(model: Any, batch: dict) -> List[Tensor]:
    """Targets of the tokens of a batch.

    Returns the targets (B, G, C), and (B, G) bool where there are any.
    """
    with feature_view.evaluating(model), torch.no_grad():
        points, tokens = model.tokenize(
            model.data_preprocessor(batch)['inputs']['points'])
        targets = model.target_generator(points, tokens, batch['data_samples'])
    if hasattr(targets, 'decoded'):
        return [targets.decoded, ~tokens.is_padding]
    return [targets.features, targets.is_target]


def measure(
    name: str,
    steps: Dict[str, Command],
    look: Optional[Callable[[str], Dict[str,
                                        float]]] = None) -> Dict[str, Any]:
    """Train what was not trained, and measure it.

    Returns the losses, what ``look`` finds in the checkpoint, and the seconds
    by stage.
    """
    results = {}
    for stage, step in steps.items():
        work_dir = Path(step.output).parent
        clock, begin = work_dir / 'seconds.json', time.time()
        if not step.is_done:
            run_steps([step])
            clock.write_text(json.dumps(time.time() - begin))
        results[stage] = dict(
            losses=read_losses(work_dir),
            **(look(step.output) if look else {}),
            seconds=round(json.loads(clock.read_text())))
        print(name, stage, json.dumps(results[stage]), flush=True)
    return results


def run(args: argparse.Namespace) -> int:
    """Train, measure and write the results; 1 if a loss has not fallen."""
    results: Dict[str, Any] = dict(
        budget=dict(steps=args.steps, frames=args.frames, points=args.points),
        recordings={},
        machine=provenance.machine())
    for recording in RECORDINGS:
        results['recordings'][recording] = {}
        for tokens in TOKENIZERS:
            entry = measure(f'{recording} {tokens}',
                            stage_steps(args, recording, tokens), look_at)
            results['recordings'][recording][f'{tokens} tokens'] = entry
            # The rest may be interrupted.
            write_record(Path(args.json), results)
    folder = f'{args.data}/{OVERLAPPING}'
    run_steps([pairs_step(folder), objects_step(folder)])
    for key, method in read_methods().items():
        # The recordings have no labels.
        if key != Path(OURS).parent.name and not method.is_supervised:
            results['recordings'][OVERLAPPING][method.name] = measure(
                method.name, method_steps(args, key))
            write_record(Path(args.json), results)
    risen = find_risen(results['recordings'])
    print(f'not fallen: {"; ".join(risen)}' if risen else 'all losses fell')
    return 1 if risen else 0


def find_risen(recordings: Dict[str, Any]) -> List[str]:
    """Name the losses that are not lower at the end than at the start.

    Those of :data:`RISING` do not count.
    """
    return [
        f'{recording} {tokens} {stage} {term}'
        for recording, arms in recordings.items()
        for tokens, stages in arms.items()
        for stage, figures in stages.items()
        for term, ends in figures['losses'].items()
        if not ends['last'] < ends['first'] and (stage, term) not in RISING
    ]
