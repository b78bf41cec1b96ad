"""The Triton kernels, in Triton's interpreter and compiled for a GPU."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sam3d_plugin import ops

INTERPRETED = """
import torch
from sam3d_plugin import ops
from sam3d_plugin.ops import _torch_ops, _triton_kernels

torch.manual_seed(0)
_torch_ops.has_triton = lambda: True
_triton_kernels._MAX_SAMPLING_BLOCK = 256
_triton_kernels._HEAP_BLOCK = 64
calls = []
for name in ('sample_positions', 'replay_heap'):
    def spy(*args, call=getattr(_triton_kernels, name)):
        calls.append(call.__name__)
        return call(*args)
    setattr(_triton_kernels, name, spy)

clouds = [
    torch.rand(1, 1, 3),
    torch.rand(3, 777, 3),
    torch.randint(0, 5, (2, 300, 3)) / 4,
    torch.ones(1, 5, 3)
]
clouds[1][0, 7] = torch.nan
for points in clouds:
    num_points = min(points.size(1) + 3, 12)
    found = _torch_ops.furthest_point_sample(points, num_points)
    assert found.dtype == torch.int32
    assert torch.equal(found, ops.furthest_point_sample(points, num_points))
for points, k in ((clouds[0], 1), (clouds[2][:, :100], 1),
                  (clouds[2][:, :100], 9), (clouds[3], 7)):
    found = _torch_ops.knn(k, points, points[:, :2])
    assert torch.equal(found, ops.knn(k, points, points[:, :2])), k
assert calls == 4 * ['sample_positions'] + 4 * ['replay_heap']
print('passed')
"""

COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sam3d_plugin.ops import _triton_kernels as kernels

for kernel, signature, constants in (
        (kernels.sampling_kernel,
         ('*fp32', '*fp32', '*i64', 'i32', 'i32'), dict(BLOCK=512)),
        (kernels.heap_kernel,
         ('*fp32', '*i1', '*i32', 'i32', 'i32', 'fp32'),
         dict(SIZE=32, BLOCK=128))):
    types = dict(zip(kernel.arg_names, (*signature, 'constexpr', 'constexpr')))
    source = ASTSource(kernel, types, constants)
    found = triton.compile(source, GPUTarget('cuda', 80, 32),
                           dict(kernels.LAUNCH_OPTIONS, num_warps=4))
    sass = found.asm['sass']
    assert ('FMUL' in sass) == (kernel is kernels.sampling_kernel)
    assert 'FFMA' not in sass
print('passed')
"""


@pytest.mark.parametrize(
    'code, environment', [(INTERPRETED, {
        'TRITON_INTERPRET': '1'
    }), (COMPILED, {})],
    ids=['interpreted', 'compiled'])
def test_triton(code, environment, tmp_path):
    pytest.importorskip('triton')
    root = Path(ops.__file__).parents[2]
    output = subprocess.run(
        [sys.executable, '-W', 'ignore', '-'],
        input=code,
        cwd=tmp_path,
        env={
            **os.environ, 'PYTHONPATH': str(root),
            'TRITON_CACHE_DIR': str(tmp_path),
            **environment
        },
        capture_output=True,
        text=True,
        check=False)
    assert output.stdout.endswith('passed\n'), output.stderr
