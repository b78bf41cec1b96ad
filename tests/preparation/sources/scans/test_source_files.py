import pytest

from sam3d_plugin.preparation.sources.scans.source_files import (
    brief, check_unclaimed, read_source_file)
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import Store


def test_what_cannot_be_read_concerns_its_frame_only(tmp_path):
    (tmp_path / 'a').write_bytes(b'x')
    assert read_source_file(f'{tmp_path}/a', 'a', 'copy it') == b'x'
    with pytest.raises(FrameError, match='^r/b is missing; copy it$'):
        read_source_file(f'{tmp_path}/b', 'r/b', 'copy it')
    with pytest.raises(FrameError, match='^r cannot be read .Is a direct'):
        read_source_file(str(tmp_path), 'r', 'copy it')


def test_reasons_stay_short():
    assert brief(KeyError('x')) == "KeyError: 'x'"
    assert len(brief(ValueError('y' * 10**6))) < 250


@pytest.mark.parametrize('there', ['points/a.bin', 'scannet_infos_val.pkl'])
def test_data_of_others_is_not_written_over(tmp_path, there):
    store, names = Store(tmp_path), ['points/b.bin', 'points/a.bin']
    check_unclaimed(store, names)
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b'')
    with pytest.raises(StoreError, match=f'{there} exists'):
        check_unclaimed(store, names)
    # A stopped run of ours has a header and may go on.
    store.open('scans', {})
    check_unclaimed(store, names)


def test_other_data_beside_is_no_obstacle(tmp_path):
    (tmp_path / 'posed_images').mkdir()
    (tmp_path / 'pairs.pkl').write_bytes(b'')
    check_unclaimed(Store(tmp_path), ['points/a.bin'])
    check_unclaimed(Store(tmp_path / 'not_yet'), ['points/a.bin'])
