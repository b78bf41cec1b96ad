"""Features as wide as a head predicts them."""
from torch import Tensor

from ...store.errors import UserError


def check_width(features: Tensor,
                expected: int,
                kind: str,
                owner: str,
                setting: str = 'out_channels') -> None:
    """Refuse features of another width than a head has.

    Args:
        features (Tensor): (..., C).
        expected (int): Channels of the head.
        kind (str): What the features are of.
        owner (str): The class whose setting is wrong.
        setting (str): That setting. Defaults to ``'out_channels'``.

    Raises:
        UserError: With what to set.
    """
    width = features.shape[-1]
    if width != expected:
        raise UserError(f'{kind} features have {width} channels, the head '
                        f'{expected}: set {setting}={width} of {owner}, or '
                        f'make features of {expected} channels')
