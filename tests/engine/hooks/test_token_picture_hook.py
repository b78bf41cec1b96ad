"""Pictures of tokens, every k epochs."""
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam3d_plugin.engine.hooks.feature_view import view_features
from sam3d_plugin.engine.hooks.token_picture_hook import FOLDER, draw_tokens
from tests.models.pretraining_cases import JOINT, KNN, SAM, build, make_batch
from tests.random_states import unchanged_random_state
from .hook_cases import build_run


def pictures(work_dir):
    return sorted(path.name for path in Path(work_dir, FOLDER).glob('*.png'))


def test_every_k_epochs_also_after_a_resume(tmp_path):
    hook = dict(type='TokenPictureHook', interval=2, num_frames=1)
    build_run(
        tmp_path, hook, train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    assert not pictures(tmp_path)
    build_run(tmp_path, hook, resume=True).train()
    assert pictures(tmp_path) == [
        'epoch_002_frame_0_features.png', 'epoch_002_frame_0_predictions.png'
    ]


def count_grey(path):
    """Share of the drawn pixels without colour."""
    pixels = np.asarray(Image.open(path).convert('RGB')).astype(int)
    pixels = pixels[(pixels < 250).all(-1)]
    return (pixels.max(-1) - pixels.min(-1) < 3).mean()


def test_visible_tokens_are_grey_where_masked_ones_are_predicted(tmp_path):
    model, batch = build(JOINT), make_batch((6, ))
    with unchanged_random_state():
        view = view_features(model, batch)
        features, predictions = draw_tokens(view, tmp_path, 'frame')
    assert count_grey(predictions) > count_grey(features) + .15


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_points_get_their_own_token(tokenizer):
    model, batch = build(JOINT, tokenizer=tokenizer), make_batch((6, 25))
    view = view_features(model, batch)
    _, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    places = view.place_of_point[0]
    assert view.is_place.equal(~tokens.is_padding)
    assert view.is_place[0][places].all() and len(set(places.tolist())) > 3
    if tokens.point_tokens is None:
        distances = torch.cdist(view.points[0], tokens.centers[0])
        assert places.equal(distances.argmin(1))
    else:
        assert places.equal(tokens.point_tokens[0])
