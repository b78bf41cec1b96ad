"""Regions follow their points when scans are imported with other options."""
import numpy as np
import pytest

from sam3d_plugin.store import read_region_file
from tests.tools.conftest import load_tool
from .test_lift_regions import SCAN, data  # noqa: F401 (a fixture)


class Chain:
    """Tools on one data set.

    Args:
        folder (Path): The data set, with frames, id maps and points.
        source (Path): Empty folder for the scan that is imported.
        capsys (CaptureFixture): Catches what the tools print.
    """

    def __init__(self, folder, source, capsys):
        self.folder, self.source, self.capsys = folder, source, capsys
        source.mkdir()
        xyz = np.vstack([self.points(), np.full(3, np.nan)])
        np.savez(source / f'{SCAN}.npz', xyz=xyz, rgb=np.full(xyz.shape, 90))

    def points(self):
        """(N, 3) xyz on disk."""
        path = self.folder / f'points/{SCAN}.bin'
        return np.fromfile(path, '<f4').reshape(-1, 6)[:, :3]

    def run(self, tool, *arguments):
        """What a tool prints."""
        given = [f'--data={self.folder}', '--workers=0']
        if tool == 'import_scans':
            given = [
                f'--source={self.source}', f'--out={self.folder}', '--up=z',
                '--overwrite', '--drop-invalid'
            ]
        self.capsys.readouterr()
        assert load_tool(f'preparation/{tool}').main([*given, *arguments]) == 0
        return self.capsys.readouterr().out


@pytest.fixture
def chain(data, tmp_path, capsys):  # noqa: F811
    return Chain(data, tmp_path / 'scans', capsys)


@pytest.mark.parametrize('tool, options', [
    ('lift_regions', []),
    ('make_superpoints', ['-O', 'voxel=0.2', 'min_area=0.1']),
])
def test_regions_of_other_points_are_made_again(chain, tool, options):
    chain.run('import_scans', '--scale=1')
    assert '1 scans made' in chain.run(tool, *options)
    assert '0 scans made, 1 kept' in chain.run(tool, *options)
    chain.run('import_scans', '--scale=0.999')
    path = chain.folder / f'regions/{SCAN}.npz'
    with pytest.raises(ValueError, match='other points'):
        read_region_file(path, chain.points())
    assert '1 scans made' in chain.run(tool, *options)
    read_region_file(path, chain.points())
    assert '0 scans made, 1 kept' in chain.run(tool, *options)
