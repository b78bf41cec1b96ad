import pytest

from sam3d_plugin.synthrooms import SynthOptions, build_scene

SMALL = SynthOptions(num_frames=3, size=(96, 128))


@pytest.fixture(scope='package')
def scene():
    """A train scene of three small frames."""
    return build_scene(0, 'scene0007_00', SMALL)
