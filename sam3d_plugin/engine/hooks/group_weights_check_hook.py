"""Whether the loss balances the groups that the data set has."""
from typing import Any, Iterator, Tuple

import numpy as np
from mmdet3d.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...models.losses import GroupBalancedDistillLoss
from ...store.files import BackendArgs
from ...store.region_groups import (NORMALIZATIONS, RegionGroups,
                                    balanced_weights)


@HOOKS.register_module()
class GroupWeightsCheckHook(Hook):
    """Compare counts and weights of the loss with the store's groups.

    Both are buffers, so those of a checkpoint replace those of the config
    when a run resumes; hence the comparison is made before the first step,
    after loading. A model without ``GroupBalancedDistillLoss`` passes.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare.

        Args:
            runner (Runner): The run, after loading.

        Raises:
            ValueError: When the dataset has no groups or other ones.
        """
        losses = [
            module for module in runner.model.modules()
            if isinstance(module, GroupBalancedDistillLoss)
        ]
        if not losses:
            return
        stores = list(group_stores(runner.train_dataloader.dataset))
        for root, backend_args in stores:
            if not root:
                raise ValueError(
                    'the loss balances groups but a dataset names none: set '
                    'region_groups in its data_prefix, or use DistillLoss')
            counts = RegionGroups(root, backend_args).groups().counts
            for loss in losses:
                line = compare_groups(loss, counts, root)
                runner.logger.info(line)


def compare_groups(loss: GroupBalancedDistillLoss, counts: np.ndarray,
                   root: str) -> str:
    """Compare a loss with the groups of a store.

    Args:
        loss (GroupBalancedDistillLoss): The loss.
        counts (np.ndarray): (K,) regions in each group of the store.
        root (str): Folder of the store.

    Returns:
        str: Line for the log.

    Raises:
        ValueError: When they differ.
    """
    mine, weights = loss.counts.cpu().numpy(), loss.weights.cpu().numpy()
    remedy = (f'point groups of the loss at {root}, or the dataset at the '
              'folder that the loss, or the checkpoint it was loaded from, '
              'was made with')
    if len(mine) != len(counts):
        raise ValueError(f'the loss has {len(mine)} groups, {root} has '
                         f'{len(counts)}: {remedy}')
    if not np.array_equal(mine, counts):
        group = int(np.flatnonzero(mine != counts)[0])
        raise ValueError(
            f'group {group} has {int(mine[group])} regions in the loss and '
            f'{int(counts[group])} in {root}: {remedy}')
    for normalize in NORMALIZATIONS:
        if np.allclose(weights, balanced_weights(counts, normalize), 1e-4, 0):
            used = weights[counts > 0]
            return (f'group weights: {len(counts)} groups of {root}, '
                    f'{int((counts == 0).sum())} empty, {normalize}, from '
                    f'{used.min():.3g} to {used.max():.3g}')
    raise ValueError(f'the group weights of the loss do not follow from its '
                     f'counts in {root}: load a checkpoint without '
                     'weights, or make it again')


def group_stores(dataset: Any) -> Iterator[Tuple[str, BackendArgs]]:
    """Folders of groups of a dataset and those that it wraps.

    Args:
        dataset (Any): Of the training.

    Yields:
        Tuple[str, BackendArgs]: Folder, '' without groups, and backend.
    """
    inner = getattr(dataset, 'datasets', None)
    if inner is None and hasattr(dataset, 'dataset'):
        inner = [dataset.dataset]
    if inner is not None:
        for part in inner:
            yield from group_stores(part)
        return
    prefix = getattr(dataset, 'data_prefix', {})
    yield (prefix.get('region_groups',
                      ''), getattr(dataset, 'backend_args', None))
