"""tools/train.py in two processes, as torchrun starts it."""
import os
import sys

import pytest
import torch

from tests import processes
from tests.datasets import frame_store
from . import pretraining_runs
from .conftest import VOTENET, small_options

# Frames do not mix, and a step is linear in the gradient.
EXACT = [
    'model.backbone.embedding.norm_cfg.type=LN',
    'model.backbone.embedding.out_norm_cfg.type=LN',
    'model.backbone.encoder.drop_path=0.', 'optim_wrapper.optimizer.type=SGD',
    'optim_wrapper.optimizer.lr=0.1', 'param_scheduler=[]'
]
DECODER = dict(
    stage1='model.decoder.drop_path=0.',
    stage2='model.decoder.transformer.drop_path=0.')


def train(folder, arguments, rank, port):
    """What a process does; without rank it is the only one."""
    from sam3d_plugin.cli.tool import run_tool
    from .conftest import load_tool
    os.chdir(folder)
    if rank is not None:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE='2',
            MASTER_ADDR='localhost',
            MASTER_PORT=str(port))
    sys.stdout = open(f'{rank}.txt', 'w')
    tool = load_tool('train')
    status = run_tool(tool.main, tool.parse_args(arguments))
    sys.stdout.close()
    sys.exit(status)


def run_both(stage, root, tmp_path, more=()):
    """Train with two processes and, beside them, with one."""
    folders = [tmp_path / stage / name for name in ('two', 'one')]
    calls = []
    for folder, ranks in zip(folders, ([0, 1], [None])):
        folder.mkdir(parents=True)
        pretraining_runs.write_configs(folder)
        options = [
            *EXACT, DECODER[stage], *more,
            f'train_dataloader.batch_size={4 // len(ranks)}'
        ]
        launcher = ['--launcher', 'pytorch'] if len(ranks) == 2 else []
        arguments = pretraining_runs.arguments_of(stage, root, folder.name,
                                                  options, launcher)
        port = processes.free_port()
        calls += [(folder, arguments, rank, port) for rank in ranks]
    processes.run_all(train, calls)
    shown = (folders[0] / '0.txt').read_text()
    assert '× 2 processes' in shown
    return [folder / f'work_dirs/{stage}/iter_3.pth' for folder in folders]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


def test_two_processes_train_both_stages_as_one_would(root, tmp_path):
    """Order, points, augmentation and masks are those of one process."""
    files = run_both('stage1', root, tmp_path)
    files = [
        files,
        run_both('stage2', root, tmp_path, [f'teacher={files[1]}'])
    ]
    for two, one in files:
        two, one = (
            torch.load(path, weights_only=False)['state_dict']
            for path in (two, one))
        assert one['frames_seen'] == 12
        for name, tensor in one.items():
            torch.testing.assert_close(
                two[name], tensor, atol=1e-5, rtol=1e-5, msg=name)


def test_stock_detector_trains_in_two_processes(scannet_root, tmp_path):
    (tmp_path / 'votenet.py').write_text(VOTENET)
    arguments = [
        'votenet.py', '--launcher', 'pytorch', '--sync_bn', 'torch',
        '--cfg-options', *small_options(scannet_root)
    ]
    port = processes.free_port()
    processes.run_all(train,
                      [(tmp_path, arguments, rank, port) for rank in range(2)])
    shown = (tmp_path / '0.txt').read_text()
    # One of two scenes for each process: one step.
    for part in ('× 2 processes', 'SyncBatchNorm needs a GPU', '[1][1/1]'):
        assert part in shown
    assert (tmp_path / 'work_dirs/votenet/epoch_1.pth').is_file()
