"""Targets from a frozen model."""
from typing import Any, Dict, List, Optional

from mmdet3d.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.random_state import keep_random_state
from sam3d_plugin.store.checkpoint import CheckpointError, read_checkpoint
from sam3d_plugin.store.loading import (LoadReport, load_encoder,
                                        without_backbone_prefix)
from sam3d_plugin.store.state_names import extract_state_dict
from ...store.errors import UserError
from ...store.trained_settings import trained_settings
from ..hidden_settings import hidden_differences


class FrozenTargets(BaseModule):
    """Base of target generators that run a trained model.

    The model is not a submodule: ``train()`` does not reach it, optimizer and
    DistributedDataParallel do not see it, and no checkpoint of the student
    holds it; AMP, ``half()`` and FSDP do not change it. It is read from its
    file by ``init_weights``, that is before the first step, or when first
    used, and follows the points to their device.

    Args:
        checkpoint (Optional[str]): The file.
        modules (Dict[str, dict]): Configs of the parts, by their names in the
            file.

    Raises:
        ValueError: Without a file.
    """

    uses_regions = False

    def __init__(self, checkpoint: Optional[str], modules: Dict[str,
                                                                dict]) -> None:
        super().__init__()
        if checkpoint is None:
            raise UserError(
                f'{type(self).__name__} has no checkpoint, and a random '
                'teacher teaches nothing: train the stage before and name its '
                'checkpoint with --cfg-options teacher=FILE')
        self.checkpoint = checkpoint
        self.load_report: Optional[LoadReport] = None
        self.configs = dict(modules)
        # A list hides the module from torch.
        self._loaded: List[nn.ModuleDict] = []

    def init_weights(self) -> None:
        """Read the model, so that a bad file stops the run at once."""
        super().init_weights()
        assert self.teacher is not None

    @property
    def teacher(self) -> nn.ModuleDict:
        """nn.ModuleDict: The parts, frozen."""
        if not self._loaded:
            self._loaded.append(self._load())
        return self._loaded[0]

    def check_state(self, state: Dict[str, Tensor]) -> None:
        """Refuse a file of another kind of training.

        Args:
            state (Dict[str, Tensor]): Its tensors by name.

        Raises:
            CheckpointError: If it is of another kind.
        """

    def _load(self) -> nn.ModuleDict:
        """Build the model and load all of it from its file."""
        checkpoint = read_checkpoint(self.checkpoint)
        state = without_backbone_prefix(
            extract_state_dict(checkpoint, self.checkpoint))
        self.check_state(state)
        # Whenever it is read, the student's random numbers stay the same.
        with keep_random_state():
            teacher = nn.ModuleDict({
                name: MODELS.build(config)
                for name, config in self.configs.items()
            })
        self.load_report = load_encoder(
            teacher, state, allow_missing=['*'], source=self.checkpoint)
        self._check_size(teacher.state_dict(), state)
        self._check_settings(checkpoint.get('meta') or {})
        print_log(
            f'teacher: {self.checkpoint}, {self.load_report.summary()}',
            logger='current')
        return teacher.requires_grad_(False).eval()

    def _check_settings(self, meta: Dict[str, Any]) -> None:
        """Refuse a file whose tensors would compute something else here."""
        found = sorted(
            hidden_differences(trained_settings(meta), self.configs))
        if found:
            raise CheckpointError(
                f'teacher {self.checkpoint} was trained with '
                f'{", ".join(found)}: set {", ".join(self.configs)} of '
                'target_generator.modules as trained')

    def _check_size(self, expected: Dict[str, Any],
                    state: Dict[str, Tensor]) -> None:
        """Refuse a file that does not hold every tensor of the model."""
        assert self.load_report is not None
        different = self.load_report.allowed
        if not different:
            return
        name = different[0]
        theirs = tuple(state[name].shape) if name in state else 'missing'
        raise CheckpointError(
            f'teacher {self.checkpoint}: {len(different)} of {len(expected)} '
            f'tensors differ in size from the config, such as {name}, '
            f'{theirs} in the file and {tuple(expected[name].shape)} here: '
            f'set target_generator.modules to {", ".join(self.configs)} as '
            'trained, or another checkpoint with --cfg-options teacher=FILE')
