"""What starts mmdet3d's own tools as a user does: each in a fresh process."""
import os
import subprocess
import sys
from pathlib import Path
from typing import List

import mmdet3d

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(mmdet3d.__file__).parent / '.mim' / 'tools'
# Lies outside the repository; three scenes of 2,048 points, 512 of them seen.
CONFIG = f"""
_base_ = ['{ROOT}/configs/sam3d/votenet_scannet_mini.py']
model = dict(
    backbone=dict(
        tokenizer=dict(num_tokens=64),
        encoder=dict(depth=1)),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=16, num_sample=8)))
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(
    checkpoint=dict(interval=2), logger=dict(interval=1))
"""
OPTIONS = [
    'train_dataloader.dataset.dataset.data_root={root}/',
    'val_dataloader.dataset.data_root={root}/',
    'test_dataloader.dataset.data_root={root}/',
    'train_dataloader.dataset.dataset.pipeline.6.num_points=512',
    'val_dataloader.dataset.pipeline.4.num_points=512',
    'test_dataloader.dataset.pipeline.4.num_points=512',
]


def run(command: List[str], folder: Path, **environment: str) -> str:
    """Run a command to its end and return what it printed."""
    environment = dict(
        PYTHONPATH=str(ROOT),
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        **environment)
    result = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            **environment
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False)
    assert result.returncode == 0, result.stdout[-6000:]
    return result.stdout


def python(*arguments: object) -> List[str]:
    """Command of a Python program; warnings are about pinned versions."""
    return [sys.executable, '-W', 'ignore', *map(str, arguments)]
