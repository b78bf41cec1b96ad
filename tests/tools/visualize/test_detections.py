"""The tool that draws detections: from config and checkpoint to pictures."""
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from sam3d_plugin.inference import Predictor

TOOL = Path(__file__).parents[3] / 'tools/visualize/detections.py'
CONFIG = """
_base_ = 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py'
pipeline = [
    dict(type='LoadPointsFromFile', coord_type='DEPTH', shift_height=True,
         load_dim=6, use_dim=[0, 1, 2]),
    dict(type='GlobalAlignment', rotation_axis=2),
    dict(type='PointSample', num_points=1024),
    dict(type='Pack3DDetInputs', keys=['points'])]
data = dict(data_root='ROOT/', pipeline=pipeline)
test_dataloader = dict(dataset=data)
train_dataloader = dict(dataset=dict(dataset=dict(data_root='ROOT/')))
"""


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('detections', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def forget_logger():
    """The tool's quiet logger must not become that of other tests."""
    yield
    for name in ('detections', 'predict'):
        MMLogger._instance_dict.pop(name, None)


@pytest.fixture(scope='module')
def checkpoint(tool: ModuleType, tmp_path_factory) -> str:
    """Random weights of the stock VoteNet."""
    init_default_scope('mmdet3d')
    folder = tmp_path_factory.mktemp('weights')
    (folder / 'config.py').write_text(CONFIG)
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(folder / 'config.py').model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'weights.pth')
    return str(folder / 'weights.pth')


@pytest.fixture
def config(scannet_root: Path, tmp_path: Path) -> str:
    path = tmp_path / 'votenet.py'
    path.write_text(CONFIG.replace('ROOT', str(scannet_root)))
    return str(path)


class KnowsEverything(torch.nn.Module):
    """A detector that finds the chair and is unsure of the table."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def test_step(self, batch: dict) -> list:
        boxes = DepthInstance3DBoxes(
            np.array([[3, 2, .4, 1.2, .8, .8], [1, 1, .5, .6, .6, 1],
                      [2, 2, 1, 1, 1, 1]], np.float32) * self.factor,
            box_dim=6,
            with_yaw=False,
            origin=(.5, .5, .5))
        instances = InstanceData(
            bboxes_3d=boxes,
            scores_3d=torch.tensor([0.2, 0.8, 0.9]),
            labels_3d=torch.tensor([4, 2, 0]))
        return [SimpleNamespace(pred_instances_3d=instances)]


@pytest.fixture
def use_model(monkeypatch):
    """Function that puts a model in place of that of the checkpoint."""
    return lambda model: monkeypatch.setattr(Predictor, '_build_model', lambda
                                             _: model)


def error_of(tool: ModuleType, *arguments: object) -> str:
    with pytest.raises(SystemExit) as caught:
        tool.main([str(argument) for argument in arguments])
    message = str(caught.value.code)
    assert message.startswith('error: ') and '\n' not in message
    return message


def test_stock_votenet_is_drawn(tool, config, checkpoint, tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = [config, checkpoint, '--out', str(out), '--device', 'cpu']
    options = ['--cfg-options', 'model.test_cfg.score_thr=0.0']
    tool.main(
        [*arguments, '--score-thr', '0.001', '--max-boxes', '5', *options])
    lines = capsys.readouterr().out.splitlines()
    assert 'a: 2 true boxes' in lines[-2] and 'b: 2 true' in lines[-1]
    assert '(the best 5 drawn)' in lines[-1]
    assert sorted(path.name for path in out.iterdir()) == [
        'a.html', 'a.png', 'b.html', 'b.png'
    ]
    # A picture does not depend on which other scans are drawn.
    before = (out / 'b.png').read_bytes()
    tool.main([
        *arguments, '--score-thr', '0.001', '--max-boxes', '5', '--scan', 'b',
        *options
    ])
    assert (out / 'b.png').read_bytes() == before


@pytest.mark.parametrize('score_thr, expected', [
    (0.1, '3 predicted with score >= 0.1, 2 matched'),
    (0.3, '2 predicted with score >= 0.3, 1 matched'),
    (0.95, '0 predicted with score >= 0.95, 0 matched'),
])
def test_counts_follow_the_threshold(tool, config, tmp_path, capsys, use_model,
                                     score_thr, expected):
    use_model(KnowsEverything())
    tool.main([
        config, 'unused.pth', '--out',
        str(tmp_path), '--split', 'train', '--scan', 'a', '--score-thr',
        str(score_thr), '--color', 'region'
    ])
    assert f'a: 2 true boxes, {expected}' in capsys.readouterr().out


def test_sun_rgbd_is_drawn(tool, sunrgbd_root, tmp_path, capsys, use_model):
    use_model(KnowsEverything())
    config = TOOL.parents[2] / 'configs/sam3d/votenet_sunrgbd_mini.py'
    tool.main([
        str(config), 'unused.pth', '--out',
        str(tmp_path), '--scan', '000002', '--cfg-options',
        f'data_root={sunrgbd_root}'
    ])
    assert '000002: 2 true boxes, 2 predicted' in capsys.readouterr().out
    assert (tmp_path / '000002.html').is_file()


def test_mistakes_end_in_one_sentence(tool, config, tmp_path, use_model):
    here = ['--out', tmp_path]
    message = error_of(tool, config, 'none.pth', *here)
    assert 'checkpoint none.pth is missing' in message
    message = error_of(tool, config, 'none.pth', *here, '--scan', 'a', 'q')
    assert message.endswith('has no scan q; it has a, b')
    message = error_of(tool, config, 'none.pth', *here, '--cfg-options',
                       'test_dataloader.dataset.data_root=nowhere')
    assert 'nowhere/scannet_infos_val.pkl is missing' in message
    use_model(KnowsEverything(float('nan')))
    message = error_of(tool, config, 'bad.pth', *here)
    assert 'bad.pth predicts boxes that are not finite' in message
