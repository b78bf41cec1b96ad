"""Training of a small image network that stands in for a 2D foundation model.

The network learns from images of made-up rooms; DINOv2, which it stands in
for, learned from 142 M photographs. Its features come in as any of timm's do.

Shapes: F frames, B images of a step, H W pixels, P cells of h w features.
"""
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from ...ops.projection import back_project, transform
from ...ops.random_state import seeded
from ...store import atomic_write
from ...store.errors import StoreError
from ...store.image_files import decode_uint16
from ...store.posed_images import PosedImages, RGBDFrame
from ..lifting.lifting import see_points
from .encoders.standin import LAYER, MODEL, MODEL_KWARGS, STRIDE

SUPERVISIONS = ('labels', 'views')
# Rooms of lower seeds are those that pre-training is measured on.
FIRST_SEED = 1000
NUM_CLASSES = 41
NUM_PAIRS, TEMPERATURE = 256, 0.1
# Images of the label task: sides of a crop, in sides of the image, and the
# share of the image's area that it shows.
CROP, SHOWN = 0.7, (.25, 1)
# Pixels between two that count in its loss.
SPACING = 4


class TeacherImages(NamedTuple):
    """Frames to learn from."""

    frames: List[RGBDFrame]  # F frames, those of a scan side by side
    labels: np.ndarray  # (F, H, W) uint8 NYU40 ids, 0 = none


def read_images(folder: Path) -> TeacherImages:
    """Read a set of SynthRooms.

    Args:
        folder (Path): What ``make_synthrooms.py`` wrote.

    Returns:
        TeacherImages: All frames.

    Raises:
        StoreError: When the set is of a seed that is kept for benchmarks.
    """
    seed = json.loads((folder / 'store.json').read_text())['settings']['seed']
    if seed < FIRST_SEED:
        raise StoreError(
            f'{folder} was made with seed {seed}, and rooms of seeds below '
            f'{FIRST_SEED} are for benchmarks; make others with '
            f'make_synthrooms.py --seed {FIRST_SEED}')
    images = PosedImages(str(folder / 'posed_images'))
    frames, labels = [], []
    for scan in images.scans():
        fields = json.loads((folder / f'scenes/{scan}.json').read_text())
        classes = np.array(fields['instance_classes'], np.uint8)
        for name in images.frames(scan):
            path = folder / f'frame_instances/{scan}/{name}.png'
            ids = decode_uint16(path.read_bytes(), str(path))
            frames.append(images.read(scan, name))
            labels.append(classes[ids])
    return TeacherImages(frames, np.stack(labels))


def split(data: TeacherImages) -> Tuple[TeacherImages, TeacherImages]:
    """Hold out the last tenth of the scans."""
    scans = sorted({frame.scan for frame in data.frames})
    held_out = set(scans[-max(len(scans) // 10, 1):])
    is_held_out = np.array([frame.scan in held_out for frame in data.frames])
    return tuple(  # type: ignore[return-value]
        TeacherImages([data.frames[i]
                       for i in np.flatnonzero(mask)], data.labels[mask])
        for mask in (~is_held_out, is_held_out))


def build_network(seed: int) -> Any:
    """The untrained network, the same for the same seed."""
    import timm
    with seeded(seed):
        return timm.create_model(MODEL, num_classes=0, **MODEL_KWARGS)


def encode(network: Any, images: Tensor) -> Tensor:
    """Features of normalized images.

    Args:
        network (Any): Of timm.
        images (Tensor): (B, 3, H, W) in [0, 1].

    Returns:
        Tensor: (B, C, h, w).
    """
    mean, std = (
        images.new_tensor(network.pretrained_cfg[key])[:, None, None]
        for key in ('mean', 'std'))
    return network.forward_intermediates(
        (images - mean) / std, indices=[LAYER], intermediates_only=True)[0]


class LabelTask(nn.Module):
    """The class of every pixel, by one linear layer on the features.

    Classes weigh by the inverse root of their pixels.
    """

    def __init__(self, data: TeacherImages, channels: int) -> None:
        super().__init__()
        self.data = data
        self.classify = nn.Conv2d(channels, NUM_CLASSES, 1)
        counts = np.bincount(data.labels.reshape(-1), minlength=NUM_CLASSES)
        weights = 1 / np.sqrt(np.maximum(counts, 1e-4 * counts.sum()))
        self.weights = torch.from_numpy(weights / weights.mean()).float()
        size = [
            round(CROP * side / STRIDE) * STRIDE
            for side in data.labels.shape[1:]
        ]
        self.augment = v2.Compose([
            v2.RandomHorizontalFlip(),
            v2.RandomResizedCrop(size, SHOWN, antialias=True),
            v2.ColorJitter(.4, .4, .4, .1),
        ])

    def forward(self, network: Any, rng: np.random.Generator,
                batch_size: int) -> Tensor:
        """Loss () of a batch of random frames."""
        images, labels = [], []
        for index in rng.integers(len(self.data.frames), size=batch_size):
            color = torch.tensor(self.data.frames[index].color)
            image, label = self.augment(
                tv_tensors.Image(color.permute(2, 0, 1)),
                tv_tensors.Mask(torch.from_numpy(self.data.labels[index])))
            images.append(image.float() / 255)
            labels.append(label.long())
        logits = self.classify(encode(network, torch.stack(images)))
        middle = slice(SPACING // 2, None, SPACING)
        target = torch.stack(labels)[:, middle, middle]
        logits = F.interpolate(logits, target.shape[1:], mode='bilinear')
        return F.cross_entropy(
            logits, target, weight=self.weights, ignore_index=0)


class ViewTask(nn.Module):
    """The same surface point, found again in another frame of its scan.

    InfoNCE between the cells of two frames that see the same points.
    """

    def __init__(self, data: TeacherImages, channels: int) -> None:
        super().__init__()
        self.data = data
        self.project = nn.Conv2d(channels, 64, 1)
        self.jitter = v2.ColorJitter(.4, .4, .4, .1)

    def forward(self, network: Any, rng: np.random.Generator,
                batch_size: int) -> Tensor:
        """Loss () of pairs of random frames, two images each."""
        losses: List[Tensor] = []
        while len(losses) < batch_size // 2:
            pair = self._draw(rng)
            cells = matching_cells(*pair, rng)
            if len(cells) < NUM_PAIRS // 4:
                continue
            images = torch.stack([
                self.jitter(torch.tensor(frame.color).permute(2, 0, 1))
                for frame in pair
            ])
            features = F.normalize(
                self.project(encode(network,
                                    images.float() / 255)), dim=1).flatten(2)
            queries, keys = (part[:, torch.from_numpy(column)].T
                             for part, column in zip(features, cells.T))
            similarities = queries @ keys.T / TEMPERATURE
            own = torch.arange(len(cells))
            losses.append((F.cross_entropy(similarities, own) +
                           F.cross_entropy(similarities.T, own)) / 2)
        return torch.stack(losses).mean()

    def _draw(self, rng: np.random.Generator) -> Tuple[RGBDFrame, RGBDFrame]:
        frames = self.data.frames
        first = frames[rng.integers(len(frames))]
        others = [
            frame for frame in frames
            if frame.scan == first.scan and frame is not first
        ]
        return first, others[rng.integers(len(others))]


def matching_cells(first: RGBDFrame, second: RGBDFrame,
                   rng: np.random.Generator) -> np.ndarray:
    """Cells of two feature maps that see the same surface.

    Args:
        first (RGBDFrame): A frame.
        second (RGBDFrame): Another frame of its scan.
        rng (np.random.Generator): Chooses among the pairs.

    Returns:
        np.ndarray: (P, 2) flat cells, at most ``NUM_PAIRS`` and no cell of
        the first frame twice.
    """
    height, width = first.depth.shape
    across = -(-width // STRIDE)
    rows, columns = np.indices((height, width)) // STRIDE
    cell_of_pixel = rows * across + columns
    middle = np.indices((height, width)) % STRIDE == STRIDE // 2
    pixels = np.flatnonzero(middle.all(0) & (first.depth > 0))
    points = back_project(first.depth, first.cameras.depth_intrinsics, pixels)
    world = transform(points, first.pose).astype(np.float32)
    # Cells count from 1 where ids do.
    seen_in, is_seen = see_points(world, second,
                                  (cell_of_pixel + 1).astype(np.uint16))
    pairs = np.stack([
        cell_of_pixel.reshape(-1)[pixels[is_seen]],
        seen_in[is_seen].astype(np.int64) - 1
    ], 1)
    pairs = pairs[pairs[:, 1] >= 0]
    return rng.permutation(pairs)[:NUM_PAIRS]


def train(data: TeacherImages,
          supervision: str,
          steps: int,
          batch_size: int = 8,
          seed: int = 0,
          log: Callable[[str], None] = print) -> Tuple[Any, Any]:
    """Train a network; the same bytes for the same arguments on one machine.

    Args:
        data (TeacherImages): Frames to learn from.
        supervision (str): One of ``SUPERVISIONS``.
        steps (int): Steps.
        batch_size (int): Images of a step. Defaults to 8.
        seed (int): Of weights, frames and augmentation. Defaults to 0.
        log (Callable[[str], None]): Gets a line now and then.

    Returns:
        Tuple[Any, Any]: The network, and what read its features.
    """
    network = build_network(seed)
    channels = network.feature_info[LAYER]['num_chs']
    with seeded(seed):
        task = dict(
            labels=LabelTask, views=ViewTask)[supervision](data, channels)
        parameters = [*network.parameters(), *task.parameters()]
        optimizer = torch.optim.AdamW(parameters, weight_decay=.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=2e-3, total_steps=steps)
        rng = np.random.default_rng(seed)
        network.train()
        losses = []
        for step in range(1, steps + 1):
            loss = task(network, rng, batch_size)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if step % 50 == 0 or step == steps:
                log(f'step {step} of {steps}: loss '
                    f'{np.mean(losses[-50:]):.3f}')
    return network.eval(), task.eval()


@torch.inference_mode()
def class_scores(network: Any, task: LabelTask,
                 data: TeacherImages) -> Dict[str, float]:
    """How well features tell the classes of unseen images apart.

    Args:
        network (Any): Of :func:`train`.
        task (LabelTask): What was trained with it.
        data (TeacherImages): Frames of other rooms.

    Returns:
        Dict[str, float]: ``accuracy`` of the labeled pixels and ``miou`` of
        the classes that occur, percent.
    """
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    for frame, labels in zip(data.frames, data.labels):
        image = torch.tensor(frame.color).permute(2, 0, 1)[None] / 255
        logits = F.interpolate(
            task.classify(encode(network, image)),
            labels.shape,
            mode='bilinear')
        found = logits[0].argmax(0).numpy()
        is_labeled = labels > 0
        np.add.at(counts, (labels[is_labeled], found[is_labeled]), 1)
    right = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - right
    occurs = counts.sum(1) > 0
    return dict(
        accuracy=float(100 * right.sum() / counts.sum()),
        miou=float(100 * (right[occurs] / union[occurs]).mean()))


def write_weights(network: nn.Module, path: Path) -> None:
    """Write the weights as safetensors, named as timm names them."""
    state = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_write(path, 'wb') as file:
        file.write(save(state))
