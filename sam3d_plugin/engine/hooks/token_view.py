"""What a pre-trained model makes of some frames, seen from outside.

Axis legend: B scenes, N points, G tokens, C channels.
"""
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple, Optional

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ...models.pretrainers import TokenPredictions
from ...structures import PointTokens


class TokenView(NamedTuple):
    """Tokens of a batch with their features and predictions.

    Attributes:
        points (Tensor): (B, N, 3) xyz, metres.
        tokens (PointTokens): All tokens.
        features (Tensor): (B, G, C) encoder features when all are seen.
        predictions (Optional[TokenPredictions]): What the method predicts
            for them, if anything.
    """

    points: Tensor
    tokens: PointTokens
    features: Tensor
    predictions: Optional[TokenPredictions]


def unwrapped(model: nn.Module) -> Any:
    """The model without its wrapper for several processes."""
    return model.module if is_model_wrapper(model) else model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode, and every module back into its own.

    Args:
        model (nn.Module): The model.

    Yields:
        None: While it is in eval mode.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, is_training in modes.items():
            module.training = is_training


@torch.no_grad()
def view_tokens(model: Any, batch: dict) -> TokenView:
    """Run a pre-training model on a batch; nothing of it changes.

    Args:
        model (Any): A ``BasePointPretrainer``, not wrapped.
        batch (dict): What the data loader gives.

    Returns:
        TokenView: On the device of the model.
    """
    with evaluating(model):
        inputs = model.data_preprocessor(batch)['inputs']
        points, tokens = model.tokenize(inputs['points'])
        features = model.encode_tokens(points, tokens)
        predictions = model.predict_tokens(
            model.reconstruct(points, tokens), tokens)
    if predictions is not None:
        predictions = predictions._replace(values=predictions.values.float())
    return TokenView(points, tokens, features.float(), predictions)
