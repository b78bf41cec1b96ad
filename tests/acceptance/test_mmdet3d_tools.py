"""mmdet3d's own train.py, test.py and others with our configs."""
import re
import socket

import pytest
import torch
from mmcv import imread

from tests.conftest import write_scannet
from tests.datasets.frame_store import write_data_set
from tests.models.external_network import Encoder
from tests.segmentation_stores import write_scannet_seg
from .mmdet3d_tools import CONFIG, OPTIONS, ROOT, TOOLS, python, run

# A busy machine takes a minute for the imports of each process.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A directory of a user, with data and a config of his own."""
    folder = tmp_path_factory.mktemp('user')
    write_scannet(folder / 'rooms')
    (folder / 'mine.py').write_text(CONFIG)
    return folder


@pytest.fixture(scope='module')
def options(folder):
    return [
        '--cfg-options',
        *(option.format(root=folder / 'rooms') for option in OPTIONS)
    ]


@pytest.fixture(scope='module')
def trained(folder, options):
    """What train.py shows of two steps and a validation."""
    return run(python(TOOLS / 'train.py', 'mine.py', *options), folder)


def scores(shown):
    """The metrics of a validation or test."""
    return re.findall(r'(m?A[PR]_[\d.]+: [\d.]+)', shown.split('[2/2]')[-1])


def read(path):
    """A checkpoint, by torch alone."""
    return torch.load(path, weights_only=False, map_location='cpu')


def test_train_saves_and_resumes(folder, options, trained):
    before = read(folder / 'work_dirs/mine/iter_2.pth')
    command = python(TOOLS / 'train.py', 'mine.py', '--resume', *options,
                     'train_cfg.max_iters=3')
    assert 'resumed at step 2' in run(command, folder)
    after = read(folder / 'work_dirs/mine/iter_3.pth')
    assert (before['meta']['iter'], after['meta']['iter']) == (2, 3)
    assert before['state_dict'].keys() == after['state_dict'].keys()


def test_test_scores_a_checkpoint_as_the_training_did(folder, options,
                                                      trained):
    tested = run(
        python(TOOLS / 'test.py', 'mine.py', 'work_dirs/mine/iter_2.pth',
               *options), folder)
    assert 'mAP_0.25' in str(scores(trained))
    assert scores(tested) == scores(trained)


def test_dist_train_on_two_processes_without_a_gpu(folder, options):
    with socket.socket() as found:
        found.bind(('localhost', 0))
        port = str(found.getsockname()[1])
    shown = run([
        'bash',
        str(TOOLS / 'dist_train.sh'), 'mine.py', '2', '--work-dir', 'two',
        *options
    ],
                folder,
                PORT=port)
    assert '× 2 processes' in shown
    state = read(folder / 'two/iter_2.pth')['state_dict']
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_browse_dataset_draws_every_scan(folder, options):
    command = python(TOOLS / 'misc/browse_dataset.py', 'mine.py', '--not-show',
                     '--task', 'lidar_det', '--output-dir', 'browsed',
                     *options)
    run(command, folder)
    paths = [folder / f'browsed/{i}.jpg' for i in range(2)]
    assert all(imread(path).std() > 0 for path in paths)
    assert paths[0].read_bytes() != paths[1].read_bytes()


INFERENCE = """
import sys
import numpy as np
from mmdet3d.apis import inference_detector, init_model
config, checkpoint, scan = sys.argv[1:]
model = init_model(config, checkpoint, device='cpu')
points = np.fromfile(scan, np.float32).reshape(-1, 6)[:, :3]
results = [inference_detector(model, scan)[0]]
results += inference_detector(model, [scan, scan])[0]
# Arrays last: they change the config of the model.
results += inference_detector(model, [points])[0]
scores = [result.pred_instances_3d.scores_3d for result in results]
assert all(len(values) and values.isfinite().all() for values in scores)
assert all(values.equal(scores[0]) for values in scores[:3])
print('predicted', *(type(model).__name__, type(model.backbone).__name__))
"""
# For scans without region files. Tokenizers have no weights, so checkpoints
# of the other config fit.
NEIGHBORS = """
_base_ = ['./mine.py']
model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=64,
            num_neighbors=8)))
test_dataloader = dict(dataset=dict(data_root='rooms/'))
"""


def test_init_model_and_inference_detector(folder, trained):
    (folder / 'neighbors.py').write_text(NEIGHBORS)
    command = python('-c', INFERENCE, 'neighbors.py',
                     'work_dirs/mine/iter_2.pth', 'rooms/points/a.bin')
    assert 'predicted VoteNet PointTokenBackbone' in run(command, folder)


STOCK = """
_base_ = [
    'mmdet3d::votenet/votenet_8xb8_scannet-3d.py',
]
custom_imports = dict(imports=['sam3d_plugin'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='PointTokenBackbone',
        tokenizer=dict(type='KNNTokenizer', num_tokens=64, num_neighbors=8),
        embedding=dict(type='PointPatchEmbed'),
        encoder=dict(type='PlainPointTransformer', depth=1),
        out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=16, num_sample=8)))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(times=1, dataset=dict(data_root='rooms/')))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root='rooms/'))
test_dataloader = val_dataloader
val_evaluator = dict(type='PresentClassIndoorMetric')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
"""


def test_a_config_of_mmdet3d_takes_our_backbone_with_its_own_runner(folder):
    (folder / 'stock.py').write_text(STOCK)
    shown = run(python(TOOLS / 'train.py', 'stock.py'), folder)
    assert 'Epoch(val) [1][2/2]' in shown
    command = python(TOOLS / 'train.py', 'stock.py', '--resume',
                     '--cfg-options', 'train_cfg.max_epochs=2')
    assert 'resumed epoch: 1' in run(command, folder)


def test_a_base_that_is_named_by_our_package_trains(folder, options):
    """As ``mim train sam3d_plugin by_name.py`` starts it."""
    (folder / 'by_name.py').write_text(
        CONFIG.replace(f'{ROOT}/configs/', 'sam3d_plugin::'))
    tools = ROOT / 'sam3d_plugin/.mim/tools'
    shown = run(python(tools / 'train.py', 'by_name.py', *options), folder)
    assert 'Failed to search registry' not in shown
    assert (folder / 'work_dirs/by_name/iter_2.pth').is_file()


FINE_TUNED = f"""
_base_ = ['{ROOT}/configs/sam3d/{{config}}.py']
model = dict(
    backbone=dict(
        tokenizer=dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=64,
            num_neighbors=8)))
train_cfg = dict(max_iters=2)
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
"""


def export(method, folder):
    """An encoder; two steps train that of a method whose data is frames."""
    source = ROOT / f'projects/{method}/configs/{method}_mini.py'
    if method == 'jepa':
        write_data_set(folder / 'frames')
        run(
            python(TOOLS / 'train.py', source, '--work-dir', 'pretrained',
                   '--cfg-options',
                   'train_dataloader.dataset.data_root=frames/',
                   'train_dataloader.dataset.ann_file=',
                   'train_cfg.max_iters=2',
                   'default_hooks.checkpoint.interval=2'), folder)
        source = 'pretrained/iter_2.pth'
    run(
        python(ROOT / 'tools/export_backbone.py', source, '--out',
               f'{method}.pth'), folder)


@pytest.mark.parametrize('method, config, options', [
    ('jepa', 'votenet_scannet_mini', [
        'train_dataloader.dataset.dataset.data_root=labeled/',
        'train_dataloader.dataset.dataset.pipeline.6.num_points=512',
        'model.bbox_head.vote_aggregation_cfg.num_point=16'
    ]),
    ('maskpoint', 'vdetr_scannet_mini', [
        'train_dataloader.dataset.dataset.data_root=labeled/',
        'train_dataloader.dataset.dataset.pipeline.6.num_points=512',
        'model.bbox_head.num_queries=16'
    ]),
    ('csc', 'segmentor_scannet_mini', [
        'train_dataloader.dataset.data_root=labeled/',
        'model.decode_head.propagation=three_nn'
    ]),
])
def test_encoders_of_other_methods_are_fine_tuned(folder, method, config,
                                                  options):
    """Detectors and a segmentor; exports of all methods have one form."""
    write_scannet_seg(folder / 'labeled')
    export(method, folder)
    (folder / f'{method}.py').write_text(FINE_TUNED.format(config=config))
    shown = run(
        python(TOOLS / 'train.py', f'{method}.py', '--cfg-options',
               'model.backbone.init_cfg.type=Pretrained',
               f'model.backbone.init_cfg.checkpoint={method}.pth', *options),
        folder)
    assert f'{method}.pth' in shown and 'Iter(train) [2/2]' in shown


EXTERNAL = """
_base_ = ['./mine.py']
model = dict(
    backbone=dict(
        frozen=True,
        encoder=dict(
            _delete_=True,
            type='ExternalEncoder',
            module='tests.models.external_network:Encoder',
            checkpoint='utonia.pth',
            channels=18,
            concat_levels=2)))
"""


def test_a_network_of_others_trains(folder, options):
    """Frozen, from a file that the user has."""
    weights = Encoder().state_dict()
    torch.save(dict(state_dict=weights), folder / 'utonia.pth')
    (folder / 'external.py').write_text(EXTERNAL)
    shown = run(python(TOOLS / 'train.py', 'external.py', *options), folder)
    assert 'utonia.pth: license of Utonia weights: CC BY-NC 4.0' in shown
    state = read(folder / 'work_dirs/external/iter_2.pth')['state_dict']
    for name, value in weights.items():
        assert state[f'backbone.encoder.network.{name}'].equal(value)
