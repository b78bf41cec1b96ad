"""The mask ratio follows from the step."""
import pytest
from mmdet3d.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel

from sam3d_plugin.engine.hooks import MaskRatioScheduleHook
from sam3d_plugin.engine.hooks.mask_ratio_schedule_hook import scheduled_ratio
from tests.models.pretraining_cases import JOINT
from .hook_cases import build_run

HOOK = dict(type='MaskRatioScheduleHook', start=.2, stop=.8)


@HOOKS.register_module()
class SeenRatios(Hook):
    """Notes the ratio that the model has in every step."""

    seen: list = []

    def after_train_iter(self, runner, *args, **kwargs):
        self.seen.append(runner.model.mask_ratio)


@pytest.mark.parametrize('shape, early', [('linear', .35), ('cosine', .28787)])
def test_schedule(shape, early):

    def ratio(step):
        return scheduled_ratio(step, .2, .8, 2, 10, shape)

    assert ratio(0) == ratio(2) == .2
    assert ratio(10) == ratio(99) == .8
    assert ratio(6) == pytest.approx(.5)
    assert ratio(4) == pytest.approx(early, abs=1e-4)
    steps = [ratio(step) for step in range(12)]
    assert steps == sorted(steps)
    assert scheduled_ratio(5, .8, .2, 0, 10, shape) == pytest.approx(.5)


def test_a_resumed_run_goes_on_where_it_was(tmp_path):

    def ratios(folder, **changes):
        SeenRatios.seen = []
        build_run(
            tmp_path / folder,
            HOOK,
            JOINT,
            custom_hooks=[dict(type='SeenRatios'), HOOK],
            **changes).train()
        return SeenRatios.seen

    whole = ratios('whole', train_cfg=dict(by_epoch=True, max_epochs=3))
    assert whole == pytest.approx([.2, .32, .44, .56, .68, .8])
    (tmp_path / 'whole' / 'epoch_3.pth').unlink()
    assert ratios(
        'whole', resume=True, train_cfg=dict(by_epoch=True,
                                             max_epochs=3)) == whole[4:]


def test_it_reaches_into_the_wrapper_of_several_processes():

    class Wrapped(MMDistributedDataParallel):

        def __init__(self, module):
            self.__dict__['_modules'] = dict(module=module)

    model = type('Model', (), dict(mask_ratio=.5))()
    runner = type('Run', (), dict(iter=9, max_iters=10, model=Wrapped(model)))
    MaskRatioScheduleHook(.1, .9).before_train_iter(runner, 0)
    assert model.mask_ratio == .9


def test_bad_options(tmp_path):
    with pytest.raises(ValueError, match='< 1'):
        MaskRatioScheduleHook(.5, 1.)
    with pytest.raises(ValueError, match='after it'):
        MaskRatioScheduleHook(.5, .6, begin=5, end=5)
    with pytest.raises(ValueError, match='linear, cosine'):
        MaskRatioScheduleHook(.5, .6, shape='round')
    with pytest.raises(ValueError, match='RegionDistillPretrainer has no'):
        build_run(tmp_path, HOOK).train()
