"""mmcv's and mmdet3d's own code on CPU tensors, unmodified."""
import os
import subprocess
import sys
from pathlib import Path

import mmdet3d
import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample, PointData
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from sam3d_plugin import ops

CONFIGS = Path(mmdet3d.__file__).parent / '.mim' / 'configs'
NUM_POINTS = 2048
DETECTORS = [('votenet/votenet_8xb8_scannet-3d.py', 4),
             ('groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg.py', 3)]
SEGMENTORS = [
    'pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg-xyz-only.py',
    'pointnet2/pointnet2_msg_2xb16-cosine-250e_scannet-seg-xyz-only.py'
]

FRESH_PROCESS = """
import sys
import sam3d_plugin.ops
assert not {'mmcv', 'mmdet3d'} & set(sys.modules), 'ops import too much'
for name in [name for name in sys.modules if name.startswith('sam3d_plugin')]:
    del sys.modules[name]
import types
import torch
import mmcv.ops
early = types.ModuleType('early')
early.renamed = mmcv.ops.points_in_boxes_all
early.ball_query = mmcv.ops.ball_query
sys.modules['early'] = early
from sam3d_plugin.ops.install import install
install()
for name in [name for name in sys.modules if name.startswith('sam3d_plugin')]:
    del sys.modules[name]
from sam3d_plugin.ops.install import install
install()
install()
from sam3d_plugin.ops._mmcv import originals
for name, original in originals().items():
    functions = vars(original) if name[0].isupper() else {name: original}
    for function in functions.values():
        owner = getattr(function, '__self__', function)
        assert owner.__module__.startswith('mmcv.'), function
points = torch.rand(1, 9, 3)
box = torch.tensor([[[.5, .5, 0, 9, 9, 9, 0]]])
assert early.renamed(points, box).sum() == 9
assert mmcv.ops.points_in_boxes_part(points, box).eq(0).all()
assert early.ball_query(0, 1, 4, points, points).shape == (1, 9, 4)
print('passed')
"""


def test_fresh_process_installing_twice(tmp_path):
    root = Path(ops.__file__).parents[2]
    output = subprocess.run([sys.executable, '-W', 'ignore', '-'],
                            input=FRESH_PROCESS,
                            cwd=tmp_path,
                            env={
                                **os.environ, 'PYTHONPATH': str(root),
                                'CUDA_VISIBLE_DEVICES': ''
                            },
                            capture_output=True,
                            text=True,
                            check=False)
    assert output.stdout.endswith('passed\n'), output.stderr


@pytest.fixture(scope='module', autouse=True)
def installed():
    ops.install()
    ops.install()


def test_names_of_mmcv_lead_here():
    import mmcv.ops
    points, centers = torch.randn(1, 400, 3), torch.randn(1, 50, 3)
    features = torch.randn(1, 4, 400, requires_grad=True)
    index = mmcv.ops.ball_query(0, 1, 8, points, centers)
    assert torch.equal(index, ops.ball_query(0, 1, 8, points, centers))
    assert torch.equal(
        mmcv.ops.knn(8, points, centers), ops.knn(8, points, centers))
    distance, nearest = mmcv.ops.three_nn(centers, points)
    assert torch.equal(nearest, ops.three_nn(centers, points)[1])
    assert torch.equal(
        mmcv.ops.furthest_point_sample(points, 20),
        ops.furthest_point_sample(points, 20))
    assert mmcv.ops.points_in_boxes_all is ops.points_in_boxes_all
    mmcv.ops.grouping_operation(features, index).sum().backward()
    assert features.grad.sum() == 4 * index.numel()
    sampler = mmcv.ops.PointsSampler([5])
    assert sampler(points, None).shape == (1, 5)


def build(name):
    config = Config.fromfile(CONFIGS / name)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        return MODELS.build(config.model)


def make_inputs(num_columns):
    """One scene: three boxes full of points.

    Only one, since GroupFree3DHead fails to predict two at once.
    """
    centers = torch.tensor([[0., 0, 1], [3, 0, 1], [0, 3, 1]])
    instance = torch.arange(NUM_POINTS) % 3
    xyz = centers[instance] + torch.rand(NUM_POINTS, 3) - 0.5
    points = torch.cat([xyz, xyz[:, 2:]], 1)[:, :num_columns]
    sample = Det3DDataSample()
    sample.set_metainfo(dict(box_type_3d=DepthInstance3DBoxes))
    boxes = torch.cat([centers, torch.ones(3, 3)], 1)
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(
            boxes, box_dim=6, with_yaw=False, origin=(.5, .5, .5)),
        labels_3d=torch.arange(3))
    sample.gt_pts_seg = PointData(
        pts_instance_mask=instance, pts_semantic_mask=instance)
    sample.eval_ann_info = {}
    return dict(inputs=dict(points=[points]), data_samples=[sample])


def train_one_step(model, data):
    data = model.data_preprocessor(data, True)
    losses = model.train()(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in gradients)
    first = next(model.parameters())
    assert first.grad.abs().sum() > 0  # reaches the first layer


@pytest.mark.parametrize('name, num_columns', DETECTORS)
def test_detector_trains_and_predicts(name, num_columns):
    model = build(name)
    data = make_inputs(num_columns)
    train_one_step(model, data)
    with torch.no_grad():
        data = model.data_preprocessor(data, False)
        result, = model.eval()(**data, mode='predict')
    assert len(result.pred_instances_3d) > 0
    assert result.pred_instances_3d.scores_3d.isfinite().all()


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentor_trains_and_predicts(name):
    model = build(name)
    data = make_inputs(3)
    train_one_step(model, data)
    with torch.no_grad():
        inputs = model.data_preprocessor(data, False)['inputs']
        logits = model.eval()(inputs, mode='tensor')
    assert logits.shape == (1, 20, NUM_POINTS)
