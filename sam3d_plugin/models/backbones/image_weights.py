"""Weights of image transformers in networks of points."""
from typing import Any, Dict, Optional

from mmengine.logging import print_log
from torch import nn

from ...store.checkpoint import CheckpointError, read_checkpoint
from ...store.loading import load_encoder
from ...store.state_names import extract_state_dict


def load_image_weights(module: nn.Module, sizes: Dict[str, Any],
                       checkpoint: Optional[str], option: str) -> None:
    """Load the blocks of a file of ``tools/preparation/export_vit.py``.

    Args:
        module (nn.Module): Some parts of a ``PlainVisionTransformer``, its
            blocks among them.
        sizes (Dict[str, Any]): Of that transformer.
        checkpoint (Optional[str]): The file; None leaves random weights,
            and the log says so.
        option (str): The option that names the file, for the log.

    Raises:
        CheckpointError: If the file is of another transformer.
    """
    if checkpoint is None:
        print_log(
            'the image transformer has random weights: name a file with '
            f'--cfg-options {option}=FILE',
            logger='current')
        return
    content = read_checkpoint(checkpoint)
    _check_sizes(sizes, content.get('meta') or {}, checkpoint)
    state = extract_state_dict(content, checkpoint)
    report = load_encoder(module, state, source=checkpoint)
    unused = [name for name in report.unexpected if 'blocks.' in name]
    if unused:
        raise CheckpointError(
            f'{checkpoint} has {len(unused)} tensors that the blocks '
            f'lack, such as {unused[0]}: write it by export_vit.py')


def _check_sizes(sizes: Dict[str, Any], meta: Dict[str, Any],
                 checkpoint: str) -> None:
    """Refuse a file whose ``meta`` names other sizes.

    Shapes tell neither heads nor blocks that are left out.
    """
    for name, ours in sizes.items():
        theirs = meta.get(name, 'unknown')
        if theirs != ours:
            raise CheckpointError(
                f'{checkpoint}: {name} is {theirs} in the file, {ours} in the '
                'config: set it in transformer, or write the file by '
                'tools/preparation/export_vit.py')
