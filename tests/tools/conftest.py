"""A small stock VoteNet for the command line tools."""
import importlib.util
import resource
from pathlib import Path

import pytest

from sam3d_plugin.experiments import steps
from tests.short_runs import forget_runs

TOOLS = Path(__file__).parents[2] / 'tools'

VOTENET = """
_base_ = ['mmdet3d::votenet/votenet_8xb8_scannet-3d.py']
model = dict(
    backbone=dict(num_points=(64, 32, 16, 16), num_samples=(8, 8, 8, 8)),
    bbox_head=dict(
        vote_aggregation_cfg=dict(num_point=16, num_sample=8)))
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(times=1))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
val_evaluator = dict(type='PresentClassIndoorMetric')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
"""


def load_tool(name):
    """Import a tool from its file."""
    spec = importlib.util.spec_from_file_location(f'tools_{name}',
                                                  TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(name, words):
    """Run a tool's work on a command line; its errors are raised."""
    tool = load_tool(name)
    return tool.main(tool.parse_args(list(map(str, words))))


def small_options(root):
    """Options of the small VoteNet for scenes of 512 points."""
    return [
        f'data_root={root}',
        'train_dataloader.dataset.dataset.pipeline.4.num_points=512',
        'val_dataloader.dataset.pipeline.2.transforms.2.num_points=512'
    ]


@pytest.fixture
def run(tmp_path, scannet_root, monkeypatch):
    """Function that runs a tool on the small VoteNet and returns its status.
    """
    from sam3d_plugin.cli.tool import run_tool
    monkeypatch.chdir(tmp_path)
    # mmengine leaves it behind; it must not reach the next test.
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'votenet.py').write_text(VOTENET)

    def run_it(tool, *arguments, root=scannet_root):
        module = load_tool(tool)
        args = module.parse_args([
            'votenet.py', *arguments, '--cfg-options', *small_options(root),
            f'experiment_name=tool{len(run_it.runs)}{tmp_path.name}',
            *run_it.options
        ])
        run_it.runs.append(args)
        return run_tool(module.main, args)

    run_it.options, run_it.runs = [], []
    return run_it


@pytest.fixture
def run_here(monkeypatch):
    """Run tools without starting Python; return the names of those that ran.

    In the root of the repository, as a user would.
    """
    monkeypatch.chdir(TOOLS.parent)
    # mmengine leaves it behind; it must not reach the next test.
    monkeypatch.setenv('LOCAL_RANK', '0')
    called = []

    def call(command, environment, **options):
        from sam3d_plugin.cli.tool import run_tool
        forget_runs()
        path = Path(command[1])
        tool = load_tool(str(path.relative_to('tools').with_suffix('')))
        called.append(path.stem)
        if path.parent.name == 'preparation':
            status = tool.main(command[2:])
        else:
            status = run_tool(tool.main, tool.parse_args(command[2:]))
        return status, resource.getrusage(resource.RUSAGE_SELF)

    monkeypatch.setattr(steps, 'run_command', call)
    return called
