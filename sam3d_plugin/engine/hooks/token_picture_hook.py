"""Pictures of token features during training."""
from pathlib import Path
from typing import List

import numpy as np
from mmdet3d.registry import HOOKS
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...models.pretrainers import FeatureView
from ...ops.random_state import keep_random_state
from ...visualization.features import pca_colors
from ...visualization.render import render_scene
from ...visualization.scene import Scene
from .feature_view import unwrapped, view_features

FOLDER = 'token_pictures'
_GREY = np.array([225, 225, 225], dtype=np.uint8)


@HOOKS.register_module()
class TokenPictureHook(Hook):
    """Draw token features and predictions of the same frames, every k epochs.

    Writes ``token_pictures/epoch_<e>_frame_<i>_features.png``, principal
    components of the encoder's features as colors of the points, and
    ``..._predictions.png``, those of what is predicted at masked tokens,
    with the points of visible tokens in gray.

    Args:
        interval (int): Epochs between pictures.
        num_frames (int): Frames of the training set that are drawn, the first
            ones.
    """

    def __init__(self, interval: int = 10, num_frames: int = 2) -> None:
        self.interval = interval
        self.num_frames = num_frames

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        """Draw, in the first process and without touching the training."""
        if not self.every_n_epochs(runner, self.interval):
            return
        dataset = runner.train_dataloader.dataset
        frames = range(min(self.num_frames, len(dataset)))
        folder = Path(runner.work_dir, FOLDER)
        with keep_random_state():
            for index in frames:
                batch = pseudo_collate([dataset[index]])
                view = view_features(unwrapped(runner.model), batch)
                stem = f'epoch_{runner.epoch + 1:03}_frame_{index}'
                draw_tokens(view, folder, stem)
        runner.logger.info(f'{len(frames)} frames drawn in {folder}')


def draw_tokens(view: FeatureView, folder: Path, stem: str) -> List[Path]:
    """Draw the first frame of a view: features and, if any, predictions."""
    is_token = view.is_place[0].cpu().numpy()
    points = view.points[0].cpu().numpy()
    token_of_point = view.place_of_point[0].cpu().numpy()
    shown = [('features', view.features, is_token)]
    if view.predictions is not None:
        is_predicted = view.predictions.is_predicted[0].cpu().numpy()
        shown.append(('predictions', view.predictions.values, is_predicted))
    pictures = []
    for name, values, is_shown in shown:
        colors = np.tile(_GREY, (len(is_token), 1))
        if is_shown.any():
            colors[is_shown] = pca_colors(values[0].cpu().numpy()[is_shown])
        pictures.append(folder / f'{stem}_{name}.png')
        title = f'{name} of {is_shown.sum()} of {is_token.sum()} tokens'
        render_scene(pictures[-1], Scene(title, points,
                                         colors[token_of_point]))
    return pictures
