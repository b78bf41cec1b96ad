"""The tool reads a prepared data set and writes what geometry explains."""
import json

from tests.datasets.frame_store import BANDS, FRAMES, SCANS, write_data_set
from tools.experiments import feature_geometry


def test_features_that_follow_height_are_explained(tmp_path, capsys):
    """A planted feature counts bands of equal height, from the bottom."""
    write_data_set(tmp_path)
    out = tmp_path / 'geometry.json'
    assert feature_geometry.main(
        ['--data-root',
         str(tmp_path), '--ann-file', '', '--json',
         str(out)]) == 0
    found = json.loads(out.read_text())['region_features']
    assert 0 < found['regions'] <= BANDS * len(FRAMES) * len(SCANS)
    assert found['encoder'] == 'planted'
    assert found['ridge'] <= 1 and 0 <= found['common'] <= 1
    assert 'region_features' in capsys.readouterr().out
