"""What a pre-trained model makes of some frames, seen from outside.

Axis legend: B scenes, N points, G tokens, C channels.
"""
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from ...models.pretrainers import MaskedPrediction
from ...structures import PointTokens


class TokenView(NamedTuple):
    """Tokens of a batch with their features and predictions.

    Attributes:
        points (Tensor): (B, N, 3) xyz, metres.
        tokens (PointTokens): All tokens.
        features (Tensor): (B, G, C) encoder features when all are seen.
        predictions (Tensor): (B, G, C') what the head makes of the decoder's
            tokens; the decoder's tokens for a head that has nothing learnt.
        is_predicted (Tensor): (B, G) bool, the tokens that predictions are
            made for: the masked ones; all that are no padding for a method
            that masks nothing.
    """

    points: Tensor
    tokens: PointTokens
    features: Tensor
    predictions: Tensor
    is_predicted: Tensor


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
        decoded = model.reconstruct(points, tokens)
        is_predicted = ~tokens.is_padding
        if isinstance(decoded, MaskedPrediction):
            is_predicted, decoded = decoded.is_masked, decoded.decoded
        if 'forward' in vars(type(model.head)):
            decoded = model.head(decoded)
    return TokenView(points, tokens, features.float(), decoded.float(),
                     is_predicted)
