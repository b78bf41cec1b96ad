"""The log's line on weights says where they come from."""
from types import SimpleNamespace

import pytest
from mmengine.model import MMDistributedDataParallel
from torch import nn

from sam3d_plugin.engine.hooks import run_summary_hook
from sam3d_plugin.store.loading import LoadReport
from tests.models import pretraining_cases as cases

REPORT = LoadReport('encoder.pth', ('a', 'b'), (), (), (), ())


def weights_of(model, report=None, resume=False):
    return run_summary_hook.describe_weights(
        SimpleNamespace(
            model=model, load_report=report, _resume=resume, iter=7))


@pytest.fixture
def detector():
    model = nn.Module()
    model.backbone, model.head = nn.Linear(2, 3), nn.Linear(3, 1)
    return model


def test_fresh_weights(detector):
    assert weights_of(detector) == 'from initialization'


def test_parts_that_init_cfg_loads(detector):
    detector.backbone.load_report = REPORT
    assert weights_of(detector) == (
        'encoder from encoder.pth, 2/2 tensors, the rest fresh')
    detector.head.load_report = REPORT
    assert ', head from encoder.pth, 2/2 tensors, the' in weights_of(detector)


def test_a_wrapped_model(detector):
    detector.backbone.load_report = REPORT
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = detector
    assert weights_of(wrapped).startswith('encoder from encoder.pth')


def test_a_checkpoint_of_a_run_goes_first(detector):
    detector.backbone.load_report = REPORT
    whole = LoadReport('epoch_3.pth', ('a', ), (), (), (), ())
    assert weights_of(detector,
                      whole) == 'loaded from epoch_3.pth, 1/1 tensors'
    assert weights_of(
        detector, whole,
        True) == ('resumed at step 7 from epoch_3.pth, 1/1 tensors')


@pytest.mark.parametrize('start, weights', [
    ('scratch', 'from initialization'),
    ('teacher', 'encoder and decoder from {path}, the rest fresh'),
])
def test_a_student(start, weights, tmp_path):
    path = tmp_path / 'teacher.pth'
    cases.save_teacher(path)
    model = cases.build(cases.stage2(str(path), init_student=start))
    model.init_weights()
    assert weights_of(model) == weights.format(path=path)
