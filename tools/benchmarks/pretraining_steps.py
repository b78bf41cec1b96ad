"""Training steps of a pre-training config, timed part by part."""
import resource
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sam3d_plugin.engine.runner import hand_over_metainfo
from sam3d_plugin.models.pretrainers import TokenPretrainer
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store.errors import UserError
from tools.benchmarks.loader import ManyEpochs

# What a step consists of, in the order of a step.
PARTS = ('data', 'tokenize', 'targets', 'embed', 'encode', 'decode', 'loss',
         'other', 'backward', 'optimizer')
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
STAGES = dict(
    RegionDistillPretrainer='stage 1', MaskedTokenPretrainer='stage 2')
_HIGH_WATER_MARK = Path('/proc/self/clear_refs')


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
    """Points of a frame in a config.

    Args:
        cfg (Config): A pre-training config.

    Returns:
        int: ``num_points`` of its ``LoadRGBDPoints``.

    Raises:
        ValueError: Without one.
    """
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'LoadRGBDPoints':
            return step.num_points
    raise UserError('the train pipeline has no LoadRGBDPoints: give --points')


def build_case(cfg: Config,
               device: str,
               dtype: str,
               metainfo: Optional[dict] = None) -> Case:
    """Build model and optimizer of a config; a teacher has random weights."""
    config = cfg.model.to_dict()
    with tempfile.TemporaryDirectory() as folder, seeded(0):
        if 'checkpoint' in (config.get('target_generator') or {}):
            path = f'{folder}/teacher.pth'
            write_teacher(config, path)
            config['target_generator']['checkpoint'] = path
        model = MODELS.build(config)
        model.init_weights()
    if metainfo is not None:
        hand_over_metainfo(model, metainfo)
    model = model.to(device).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    return Case(model, wrapper.optimizer, device, dtype)


def write_teacher(config: Dict[str, Any], path: str) -> None:
    """Write a checkpoint as stage 1 would, with random weights."""
    parts = dict(
        embedding=config['backbone']['embedding'],
        encoder=config['backbone']['encoder'],
        decoder=config['decoder']['transformer'])
    teacher = nn.ModuleDict({
        name: MODELS.build(part)
        for name, part in parts.items()
    })
    torch.save(dict(state_dict=teacher.state_dict()), path)


def watch(model: TokenPretrainer, clock: StepClock) -> None:
    """Let the parts of a model's forward pass mark the clock."""
    parts: List[Tuple[Any, str, str]] = [
        (model, 'tokenize', 'tokenize'),
        (model.target_generator, 'forward', 'targets'),
        (model.backbone.embedding, 'forward', 'embed'),
        (model.backbone.encoder, 'forward', 'encode'),
        (model.decoder, 'forward', 'decode'),
        (model, 'compute_losses', 'loss'),
    ]
    for owner, method, part in parts:
        if owner is not None:
            setattr(owner, method, _timed(getattr(owner, method), clock, part))


def _timed(function: Callable, clock: StepClock, part: str) -> Callable:
    """The function with marks before and after it."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        clock.mark('other')
        result = function(*args, **kwargs)
        clock.mark(part)
        return result

    return timed


def build_loader(cfg: Config, num_points: int, batch_size: int,
                 num_workers: int) -> Any:
    """The config's loader without an end."""
    options = cfg.train_dataloader.to_dict()
    for step in options['dataset']['pipeline']:
        if step['type'] == 'LoadRGBDPoints':
            step['num_points'] = num_points
    options.update(
        sampler=dict(type=ManyEpochs, shuffle=True),
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0)
    return Runner.build_dataloader(options, seed=0)


def train_step(case: Case, batch: Any, clock: StepClock) -> None:
    """One step of training, as the runner does it.

    Args:
        case (Case): What is trained.
        batch (Any): What the loader hands over.
        clock (StepClock): Is marked; the step has begun.
    """
    data = case.model.data_preprocessor(batch, True)
    clock.mark('data')
    with case.autocast():
        losses = case.model(**data, mode='loss')
    loss, _ = case.model.parse_losses(losses)
    clock.mark('other')
    loss.backward()
    clock.mark('backward')
    case.optimizer.step()
    case.optimizer.zero_grad()
    clock.mark('optimizer')


def count_flops(case: Case, batch: Any) -> int:
    """Floating point operations of a step, forward and backward.

    Multiplications and additions of the matrix products, those on padding
    included; a multiply-add is two.

    Args:
        case (Case): What is trained; the step trains it.
        batch (Any): What the loader hands over.

    Returns:
        int: Operations.
    """
    clock = StepClock('cpu')
    clock.begin()
    counter = FlopCounterMode(display=False)
    # The only attention that is counted on CPU and GPU alike.
    with sdpa_kernel(SDPBackend.MATH), counter:
        train_step(case, batch, clock)
    return counter.get_total_flops()


def measure_matmul(device: str, dtype: str, size: int, rounds: int) -> float:
    """Floating point operations per second of one large matrix product.

    Returns the operations per second.
    """
    left, right = (
        torch.randn(size, size, device=device, dtype=DTYPES[dtype])
        for _ in range(2))
    clock = StepClock(device)
    for i in range(rounds + 2):
        if i == 2:
            clock.clear()
        clock.begin()
        left @ right
        clock.mark('other')
    return 2 * size**3 / (clock.medians()['step'] / 1000)


def reset_peak_memory(device: str) -> None:
    """Begin to look for the peak."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    elif _HIGH_WATER_MARK.exists():
        _HIGH_WATER_MARK.write_text('5')


def peak_memory(device: str) -> float:
    """Most memory in use since the reset.

    Returns GB (1e9) of tensors on the GPU, or of this whole process.
    """
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e9
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def time_in_turns(tasks: Dict[str, Callable[[], None]], device: str,
                  rounds: int) -> Dict[str, float]:
    """Median milliseconds of tasks that take turns, after one warm-up."""
    clocks = {name: StepClock(device) for name in tasks}
    for i in range(rounds + 1):
        for name, task in tasks.items():
            if i == 1:
                clocks[name].clear()
            clocks[name].begin()
            task()
            clocks[name].mark('other')
    return {name: clock.medians()['step'] for name, clock in clocks.items()}
