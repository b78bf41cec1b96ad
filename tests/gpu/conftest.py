"""A test of this folder that asks for ``device`` runs on an emulated GPU."""
import pytest
from mmdet3d.utils import register_all_modules
from mmengine.logging import MMLogger

from tests.emulated_cuda import emulated_cuda


@pytest.fixture
def kernels():
    """What runs point operations; tests of both have it as a parameter."""
    return 'mmcv'


@pytest.fixture
def device(kernels):
    with emulated_cuda(kernels) as found:
        yield found


@pytest.fixture
def models():
    """tools/benchmarks/gpu_models.py, with mmdet3d's scope and no dumps."""
    register_all_modules()
    logger = MMLogger.get_instance('mmengine')
    level = logger.level
    logger.setLevel('WARNING')
    from tools.benchmarks import gpu_models
    yield gpu_models
    logger.setLevel(level)
