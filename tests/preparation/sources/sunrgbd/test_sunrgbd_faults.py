"""Damaged and incomplete sources of SUN RGB-D."""
import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.sunrgbd.infos import write_infos
from sam3d_plugin.preparation.sources.sunrgbd.sources import open_source
from sam3d_plugin.preparation.sources.sunrgbd.step import SunRGBDStep
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import Store
from tests.preparation.sources.sunrgbd.prepared import (HERE, prepare,
                                                        read_infos)


def break_official(source, what):
    folder = source / 'SUNRGBD/kv1/NYUdata/NYU000003'
    depth, color = (folder / 'depth_bfx/000003.png',
                    folder / 'image/000003.jpg')
    if what == 'truncated depth':
        depth.write_bytes(depth.read_bytes()[:200])
    elif what == 'zero depth':
        Image.fromarray(np.zeros((24, 32), np.uint16)).save(depth)
    elif what == 'other size':
        Image.fromarray(np.ones((24, 30), np.uint16)).save(depth)
    elif what == 'no image':
        color.unlink()
    elif what == 'folder':
        depth.unlink()
        depth.mkdir()
    elif what in ('no camera', 'other camera', 'no center'):
        path = source / 'SUNRGBDMeta3DBB_v2.mat'
        content = loadmat(path)
        matrix = content['SUNRGBDMeta'][0, 2]['K']
        content['SUNRGBDMeta'][0, 2]['K'] = {
            'no camera': np.full((3, 3), np.nan),
            'other camera': matrix * [[2], [2], [1]],
            'no center': np.diag(np.diag(matrix)),
        }[what]
        savemat(path, dict(SUNRGBDMeta=content['SUNRGBDMeta']))


def check_skipped(source, out, reason):
    """Scan 000003 alone is skipped, for this reason."""
    report = prepare(source, out)
    assert list(report.skipped) == ['000003/000003']
    assert re.search(reason, report.skipped['000003/000003'])


@pytest.mark.parametrize('what, reason', [
    ('truncated depth', 'not a readable image'),
    ('zero depth', 'no pixel with depth'),
    ('other size', r'is \(30, 24\), but .*jpg \(32, 24\)'),
    ('no image', 'missing; unzip'),
    ('folder', '000003.png cannot be read .Is a directory'),
    ('no camera', '000003: the calibration'),
    ('other camera', 'calibration of scan 000003: the principal point 3'),
    ('no center', 'calibration of scan 000003: the principal point -1, -1'),
])
def test_bad_scan_of_the_release_is_skipped_and_named(write, tmp_path, what,
                                                      reason):
    source = write('official')
    break_official(source, what)
    check_skipped(source, tmp_path / 'out', reason)
    train = read_infos(tmp_path / 'out', 'sunrgbd_infos_train')
    assert len(train) == 1


def break_trainval(source, what):
    path = source / 'depth/000003.mat'
    points = loadmat(path)['instance']
    if what == 'truncated':
        path.write_bytes(path.read_bytes()[:-100])
    elif what == 'moved point':
        points[7, 0] += 0.05
    elif what == 'not finite':
        points[7, 1] = np.nan
    elif what == 'twice':
        points[7] = points[8]
    elif what == 'columns':
        points = points[:, :5]
    elif what == 'calibration':
        (source / 'calib/000003.txt').write_text('1 2 3')
    elif what == 'no camera':
        path = source / 'calib/000003.txt'
        path.write_text(path.read_text().rsplit(maxsplit=1)[0] + ' nan')
    elif what == 'folder':
        (source / 'image/000003.jpg').unlink()
        (source / 'image/000003.jpg').mkdir()
    elif what == 'label':
        (source / 'label/000003.txt').write_text('bed 1 2 3')
    if what in ('moved point', 'not finite', 'twice', 'columns'):
        savemat(path, dict(instance=points))


@pytest.mark.parametrize('what, reason', [
    ('truncated', 'MATLAB'),
    ('moved point', '1 of .* points'),
    ('not finite', '1 of .* points'),
    ('twice', 'two points fall in one pixel'),
    ('columns', r'not \(N, 6\) numbers'),
    ('calibration', 'calib/000003.txt does not hold two lines'),
    ('no camera', '000003.txt: the calibration'),
    ('folder', 'image/000003.jpg cannot be read .Is a directory'),
    ('label', "label/000003.txt: the line 'bed 1 2 3'"),
])
def test_bad_extracted_scan_is_skipped_and_named(write, tmp_path, what,
                                                 reason):
    source = write('trainval')
    break_trainval(source, what)
    check_skipped(source, tmp_path / 'out', reason)


def test_annotations_without_a_field_stop_the_run(write):
    path = write('official') / 'SUNRGBDMeta3DBB_v2.mat'
    metas = loadmat(path)['SUNRGBDMeta']
    metas.dtype.names = [n.replace('K', 'J') for n in metas.dtype.names]
    savemat(path, dict(SUNRGBDMeta=metas))
    with pytest.raises(StoreError, match='another form.*no field of name K'):
        open_source(path.parent)


def test_files_of_matlab_73_and_other_files_stop_the_run(write):
    source = write('official')
    path = source / 'SUNRGBDMeta3DBB_v2.mat'
    header = b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(124)
    path.write_bytes(header + b'\x00\x02IM' + b'\x89HDF\r\n\x1a\n')
    with pytest.raises(StoreError, match="7.3 .*'-v7'"):
        open_source(source)
    path.write_bytes((source / 'SUNRGBDMeta2DBB_v2.mat').read_bytes())
    with pytest.raises(StoreError, match='has no variable SUNRGBDMeta'):
        open_source(source)


def test_annotations_of_two_releases_are_refused(write):
    source = write('official')
    path = source / 'SUNRGBDMeta2DBB_v2.mat'
    structs = loadmat(path)['SUNRGBDMeta2DBB']
    savemat(path, dict(SUNRGBDMeta2DBB=structs[:, :2]))
    with pytest.raises(
            StoreError,
            match='2DBB_v2.mat has 2 scans, but '
            'SUNRGBDMeta3DBB_v2.mat 3'):
        open_source(source)
    (source / 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat').unlink()
    savemat(path, dict(SUNRGBDMeta2DBB=structs))
    with pytest.raises(StoreError, match='allsplit.mat is missing; download'):
        open_source(source).splits()


def test_folder_of_neither_form_is_refused(tmp_path):
    with pytest.raises(StoreError, match='holds no depth .* nor SUNRGBDMeta'):
        open_source(tmp_path / 'nothing')


def test_the_older_boxes_may_be_missing(write, tmp_path):
    source = write('official', with_v1=False)
    with pytest.raises(
            StoreError, match='SUNRGBDMeta.mat is missing; .*'
            '--without-v1'):
        open_source(source)
    step = SunRGBDStep(open_source(source, with_v1=False))
    run_step(step, tmp_path / 'out', HERE)
    lines = write_infos(step.source, Store(tmp_path / 'out'), partial=True)
    assert lines == [
        'sunrgbd_infos_train.pkl: 2 scans, 3 boxes',
        'sunrgbd_infos_val.pkl: 1 scans, 1 boxes'
    ]


@pytest.mark.parametrize('factor, is_known', [(255, True), (65535, True),
                                              (1020, False)])
def test_colors_of_another_scale(write, scans, tmp_path, factor, is_known):
    source = write('trainval')
    path = source / 'depth/000003.mat'
    points = loadmat(path)['instance']
    expected = points[:, 3:].copy()
    points[:, 3:] *= factor
    points[0, 3] = factor
    savemat(path, dict(instance=points))
    reader = open_source(source)
    if not is_known:
        with pytest.raises(FrameError, match='colors'):
            reader.frame('000003')
        return
    found = reader.frame('000003').points[:, 3:]
    np.testing.assert_allclose(found[1:], expected[1:], atol=1e-5)
