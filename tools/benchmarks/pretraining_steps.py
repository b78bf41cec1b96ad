"""Training steps of a pre-training config, timed part by part."""
import tempfile
import time
from collections import defaultdict
from typing import (Any, Callable, Dict, Iterator, List, NamedTuple, Optional,
                    Tuple)

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.runner import hand_over_metainfo
from sam3d_plugin.models.target_generators import FrozenTargets
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store.errors import UserError
from tools.benchmarks import measuring

# What a step consists of, in the order of a step.
PARTS = ('data', 'tokenize', 'targets', 'embed', 'encode', 'decode', 'loss',
         'other', 'backward', 'optimizer')
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
STAGES = dict(
    RegionDistillPretrainer='stage 1', MaskedTokenPretrainer='stage 2')


class StepClock:
    """Share out the time of a step among its parts.

    The time between two marks belongs to the part that the later one names.
    On a GPU marks are events of its stream, so that no part waits for
    another, and ``data`` is what the GPU waits for data.

    Args:
        device (str): ``'cpu'`` or ``'cuda'``.
    """

    def __init__(self, device: str) -> None:
        self.is_cuda = device == 'cuda'
        self._steps: List[List[Tuple[str, Any]]] = []

    def begin(self) -> None:
        """Begin a step."""
        self._steps.append([('', self._now())])

    def mark(self, part: str) -> None:
        """Say what the time since the last mark was spent on."""
        self._steps[-1].append((part, self._now()))

    def clear(self) -> None:
        """Forget all steps."""
        self._steps.clear()

    def medians(self) -> Dict[str, float]:
        """Median milliseconds of every part, and of the whole ``step``."""
        if self.is_cuda:
            torch.cuda.synchronize()
        spent: Dict[str, List[float]] = defaultdict(list)
        for marks in self._steps:
            step = dict.fromkeys(PARTS, 0.)
            for (_, begin), (part, end) in zip(marks, marks[1:]):
                step[part] += self._between(begin, end)
            step['step'] = sum(step.values())
            for part, value in step.items():
                spent[part].append(value)
        return {part: float(np.median(times)) for part, times in spent.items()}

    def _now(self) -> Any:
        if not self.is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, begin: Any, end: Any) -> float:
        if self.is_cuda:
            return begin.elapsed_time(end)
        return (end - begin) * 1000


class Case(NamedTuple):
    """What is trained and measured.

    Attributes:
        model (Any): The pre-trainer, in training mode.
        optimizer (torch.optim.Optimizer): The config's.
        device (str): ``'cpu'`` or ``'cuda'``.
        dtype (str): One of ``DTYPES``.
    """

    model: Any
    optimizer: torch.optim.Optimizer
    device: str
    dtype: str

    def autocast(self) -> Any:
        """Context of the forward pass."""
        return torch.autocast(
            self.device, torch.bfloat16, enabled=self.dtype == 'bf16')


def stage_of(cfg: Config) -> str:
    """Name the stage of a config, or the method of another.

    For example ``'stage 1'``.
    """
    return STAGES.get(cfg.model.type, cfg.model.type)


def points_of(cfg: Config) -> int:
    """Points that a config loads of a frame.

    Args:
        cfg (Config): A pre-training config.

    Returns:
        int: ``num_points`` of its ``LoadRGBDPoints``.

    Raises:
        ValueError: Without one.
    """
    for step in all_steps(cfg.train_dataloader.dataset.pipeline):
        if step['type'] == 'LoadRGBDPoints':
            return step['num_points']
    raise UserError('the train pipeline has no LoadRGBDPoints: give --points')


def build_case(cfg: Config,
               device: str,
               dtype: str,
               metainfo: Optional[dict] = None) -> Case:
    """Build model and optimizer of a config; a teacher has random weights."""
    config = cfg.model.to_dict()
    with tempfile.TemporaryDirectory() as folder, seeded(0):
        if 'checkpoint' in (config.get('target_generator') or {}):
            config['target_generator']['checkpoint'] = f'{folder}/teacher.pth'
        model = MODELS.build(config)
        targets = getattr(model, 'target_generator', None)
        if isinstance(targets, FrozenTargets):
            write_teacher(targets)
        model.init_weights()
    if metainfo is not None:
        hand_over_metainfo(model, metainfo)
    model = model.to(device).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    return Case(model, wrapper.optimizer, device, dtype)


def write_teacher(targets: FrozenTargets) -> None:
    """Write the checkpoint that targets read, with random weights."""
    teacher = nn.ModuleDict({
        name: MODELS.build(part)
        for name, part in targets.configs.items()
    })
    torch.save(dict(state_dict=teacher.state_dict()), targets.checkpoint)


def watch(model: Any, clock: StepClock) -> None:
    """Let the parts of a model's forward pass mark the clock."""
    backbone = model.backbone
    parts: List[Tuple[Any, str, str]] = [
        (backbone, 'tokenize', 'tokenize'),
        (getattr(model, 'target_generator', None), 'forward', 'targets'),
        (backbone.embedding, 'forward', 'embed'),
        (backbone.encoder, 'forward', 'encode'),
        (getattr(model, 'decoder', None), 'forward', 'decode'),
        (getattr(model, 'projector', None), 'forward', 'decode'),
        (model, 'compute_losses', 'loss'),
        (model, 'contrast', 'loss'),
    ]
    for owner, method, part in parts:
        # Some have a child of that name instead of a method.
        if isinstance(getattr(owner, method, None), nn.Module):
            owner, method = getattr(owner, method), 'forward'
        if hasattr(owner, method):
            setattr(owner, method, _timed(getattr(owner, method), clock, part))


def _timed(function: Callable, clock: StepClock, part: str) -> Callable:
    """The function with marks before and after it."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        clock.mark('other')
        result = function(*args, **kwargs)
        clock.mark(part)
        return result

    return timed


def train_step(case: Case,
               batch: Any,
               mark: Callable[[str], Any] = lambda part: None) -> None:
    """One step of training, as the runner does it.

    ``mark`` is told what the time since the last mark was spent on.
    """
    data = case.model.data_preprocessor(batch, True)
    mark('data')
    with case.autocast():
        losses = case.model(**data, mode='loss')
    loss, _ = case.model.parse_losses(losses)
    mark('other')
    loss.backward()
    mark('backward')
    case.optimizer.step()
    case.optimizer.zero_grad()
    mark('optimizer')


def count_flops(case: Case, batch: Any) -> int:
    """Floating point operations of a step, forward and backward.

    Multiplications and additions of the matrix products, those on padding
    included; a multiply-add is two. The step trains the model.
    """
    counter = FlopCounterMode(display=False)
    # The only attention that is counted on CPU and GPU alike.
    with sdpa_kernel(SDPBackend.MATH), counter:
        train_step(case, batch)
    return counter.get_total_flops()


def measure_matmul(device: str, dtype: str, size: int, rounds: int) -> float:
    """Floating point operations per second of one large matrix product."""
    left, right = (
        torch.randn(size, size, device=device, dtype=DTYPES[dtype])
        for _ in range(2))
    seconds = measuring.median_seconds(lambda: left @ right, device, rounds)
    return 2 * size**3 / seconds


def num_clouds(batch: Any) -> int:
    """Frames of a batch; each view is one."""
    return sum(points.shape[:-2].numel()
               for points in batch['inputs']['points'])


def measure_steps(case: Case, batches: Iterator[Any], count: int,
                  matmul: float) -> Dict[str, Any]:
    """Train some steps, after two that are not measured.

    Returns points of a cloud, frames per second, milliseconds of the step and
    of its parts, GB at the peak, and the arithmetic.
    """
    batch = next(batches)
    flops = count_flops(case, batch)
    clock = StepClock(case.device)
    watch(case.model, clock)
    for i in range(count + 1):
        if i == 1:  # the first step compiles and allocates
            clock.clear()
            measuring.reset_peak(case.device)
        clock.begin()
        train_step(case, next(batches), clock.mark)
    spent = clock.medians()
    seconds = spent['step'] / 1000
    return dict(
        points=batch['inputs']['points'][0].shape[-2],
        samples_per_s=num_clouds(batch) / seconds,
        step_ms=spent.pop('step'),
        parts_ms=spent,
        peak_memory_gb=measuring.peak_bytes(case.device) / 1e9,
        tflop=flops / 1e12,
        matmul_floor_ms=flops / matmul * 1000,
        matmul_share=flops / seconds / matmul)
