"""A checkpoint that several tests start from."""
import pytest

from .pretraining_cases import save_teacher


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Of stage 1."""
    return save_teacher(tmp_path_factory.mktemp('stage1') / 'stage1.pth')
