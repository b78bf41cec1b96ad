"""What methods on two views of a frame have in common."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub

from sam3d_plugin.engine.hooks import CollapseAlarmHook
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import losses_of
from .view_cases import CONFIGS, build, make_batch


@pytest.mark.parametrize('name', CONFIGS)
def test_evaluation_changes_nothing(name):
    """The alarm's look at a batch of views too."""
    config = CONFIGS[name]
    model = build(config)
    batch = make_batch(range(2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    hub = MessageHub('views')
    CollapseAlarmHook(interval=1).after_train_iter(
        SimpleNamespace(
            model=model,
            iter=0,
            cfg=Config(dict(model=config)),
            message_hub=hub), 0, batch)
    assert hub.get_scalar('train/spread_features').current() > 0
    losses_of(model.eval(), batch)
    torch.testing.assert_close(dict(model.state_dict()), before)


@pytest.mark.parametrize('name', CONFIGS)
def test_a_batch_without_views_is_refused(name):
    batch = make_batch(range(2))
    batch['inputs']['points'] = [p[0] for p in batch['inputs']['points']]
    with pytest.raises(UserError, match='TwoViews'):
        losses_of(build(CONFIGS[name]), batch)
