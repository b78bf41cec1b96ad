"""Features and predictions of a pre-training for hooks."""
from contextlib import contextmanager
from typing import Any, Iterator

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from ...models.pretrainers import FeatureView


def unwrapped(model: Any) -> Any:
    """The model inside wrappers for several processes or test-time views."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode, and every module back into its own."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, is_training in modes.items():
            module.training = is_training


@torch.no_grad()
def view_features(model: Any, batch: dict) -> FeatureView:
    """Run a ``BasePretrainer`` on a batch; nothing of it changes."""
    with evaluating(model):
        return model.view(model.data_preprocessor(batch)['inputs'])
