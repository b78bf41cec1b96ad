"""Lists of few labelled scans: the protocol, and what is written."""
import pickle

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans import few_labels
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from tests.conftest import write_infos, write_scannet, write_sunrgbd
from tests.tools.conftest import load_tool

NAMES = [f'scene{i:04d}_00' for i in range(1201)]


def test_numbers_of_the_official_list():
    sizes = [len(few_labels.choose_scans(NAMES, p, 0)) for p in (1, 5, 10, 20)]
    assert sizes == [12, 60, 120, 240]


def test_lists_are_nested_and_do_not_depend_on_the_order():
    lists = [few_labels.choose_scans(NAMES, p, 0) for p in (1, 5, 10, 20)]
    for shorter, longer in zip(lists, lists[1:]):
        assert set(shorter) < set(longer) and shorter == sorted(shorter)
    assert few_labels.choose_scans(NAMES[::-1], 5, 0) == lists[1]
    assert few_labels.choose_scans(NAMES, 5, 1) != lists[1]
    assert few_labels.choose_scans(NAMES, 100, 3) == NAMES


def test_the_protocol_never_changes():
    """Published lists must be the same from every version."""
    assert few_labels.choose_scans(NAMES[:20], 10, 0) == FIRST_OF_TWENTY


FIRST_OF_TWENTY = ['scene0005_00', 'scene0009_00']


def test_at_least_one_scan():
    assert len(few_labels.choose_scans(['a', 'b'], 1, 0)) == 1


@pytest.mark.parametrize('names, percentage', [([], 10), (['a', 'a'], 10),
                                               (['a'], 0), (['a'], 101)])
def test_refused(names, percentage):
    with pytest.raises(ScanError):
        few_labels.choose_scans(names, percentage, 0)


def test_infos_and_seg_info(tmp_path):
    scenes = tuple(f'room{i}' for i in range(10))
    write_scannet(tmp_path, scenes, 32)
    (tmp_path / 'seg_info').mkdir()
    path, named = few_labels.write_infos(tmp_path / 'scannet_infos_train.pkl',
                                         20, 0)
    assert path.name == 'scannet_infos_train_20.pkl'
    assert named.name == 'scannet_infos_train_20_seed0.pkl'
    assert named.read_bytes() == path.read_bytes()
    content = pickle.loads(path.read_bytes())
    names = [
        i['lidar_points']['lidar_path'][:-4] for i in content['data_list']
    ]
    assert names == few_labels.choose_scans(scenes, 20, 0)
    assert content['metainfo']['dataset'] == 'scannet'
    drawn = np.load(tmp_path / 'seg_info/train_20_resampled_scene_idxs.npy')
    assert set(drawn) == {0, 1}
    weights = np.load(tmp_path / 'seg_info/train_20_label_weight.npy')
    assert weights.shape == (20, ) and np.isfinite(weights).all()
    assert (tmp_path / 'seg_info/train_20_seed0_label_weight.npy').is_file()


def test_s3dis_has_its_own_classes(tmp_path):
    """13 of them, from 0 on, where ScanNet's masks hold NYU40 ids."""
    scenes = tuple(f'Area_1_room_{i}' for i in range(10))
    infos = write_scannet(tmp_path, scenes, 10000)
    source = tmp_path / 's3dis_infos_Area_1.pkl'
    write_infos(source, infos, ('table', 'chair'), 's3dis')
    (tmp_path / 'seg_info').mkdir()
    for scene in scenes:
        labels = np.repeat(np.arange(13), (0, 4000, 3000, 3000, *[0] * 9))
        labels.tofile(tmp_path / 'semantic_mask' / f'{scene}.bin')
    few_labels.write_infos(source, 20, 3)
    prefix = tmp_path / 'seg_info' / 'Area_1_20_seed3'
    weights = np.load(f'{prefix}_label_weight.npy')
    shares = np.array([0, .4, .3, .3, *[0] * 9])
    np.testing.assert_allclose(weights, 1 / np.log(1.2 + shares), rtol=1e-5)
    drawn = np.load(f'{prefix}_resampled_scene_idxs.npy')
    # 10,000 points are two samples of 4,096.
    assert drawn.tolist() == [0, 0, 1, 1]


def test_classes_of_other_data_sets_are_not_guessed(tmp_path):
    infos = write_scannet(tmp_path, ('a', 'b'), 32)
    source = tmp_path / 'other_infos_train.pkl'
    write_infos(source, infos, dataset='other')
    few_labels.write_infos(source, 50, 0)
    (tmp_path / 'seg_info').mkdir()
    with pytest.raises(ScanError, match='is of other.*scannet and s3dis'):
        few_labels.write_infos(source, 50, 0)


def test_lists_of_another_rule_are_not_replaced(tmp_path, capsys):
    """Such as SynthRooms's own, on which scores were published."""
    infos = write_scannet(tmp_path, tuple('abcdefghij'), 32)
    own = tmp_path / 'scannet_infos_train_10.pkl'
    chosen = few_labels.choose_scans('abcdefghij', 10, 0)
    write_infos(own, [i for i in infos if _name(i) not in chosen][:1])
    content = own.read_bytes()
    tool = load_tool('preparation/make_few_label_lists')
    command = [
        str(tmp_path / 'scannet_infos_train.pkl'), '--percentages', '10'
    ]
    assert tool.main(command) == 1
    assert 'other scans' in capsys.readouterr().err
    assert own.read_bytes() == content
    assert not own.with_name('scannet_infos_train_10_seed0.pkl').exists()
    assert tool.main([*command, '--seeds', '1', '2']) == 0
    assert tool.main([*command, '--seed', '1']) == 0  # the same again
    own.unlink()
    assert tool.main(command) == 0
    assert own.is_file()
    (tmp_path / 'names_1.txt').write_text('z\n')
    (tmp_path / 'names.txt').write_text('a\nb\n')
    with pytest.raises(ScanError, match='names_1.txt'):
        few_labels.write_name_list(tmp_path / 'names.txt', tmp_path, 1, 0)


def _name(info):
    return info['lidar_points']['lidar_path'][:-len('.bin')]


def test_sun_rgbd_v1_and_v2_take_the_same_scans(tmp_path):
    write_sunrgbd(tmp_path, tuple(f'{i:06d}' for i in range(10)), 32)
    sources = [tmp_path / f'sunrgbd_{v}infos_train.pkl' for v in ('', 'v1_')]
    tool = load_tool('preparation/make_few_label_lists')
    assert tool.main(
        [*map(str, sources), '--percentages', '30', '--seed', '1']) == 0
    lists = []
    for source in sources:
        few = source.with_name(source.stem + '_30_seed1.pkl')
        infos = pickle.loads(few.read_bytes())['data_list']
        lists.append([info['lidar_points']['lidar_path'] for info in infos])
    assert lists[0] == lists[1] and len(lists[0]) == 3


def test_list_of_names(tmp_path, capsys):
    (tmp_path / 'scannetv2_train.txt').write_text('\n'.join(NAMES))
    tool = load_tool('preparation/make_few_label_lists')
    assert tool.main([
        str(tmp_path / 'scannetv2_train.txt'), '--out',
        str(tmp_path / 'lists')
    ]) == 0
    text = (tmp_path / 'lists/scannetv2_train_1.txt').read_text()
    assert text.split() == few_labels.choose_scans(NAMES, 1, 0)
    # each with _seed0 and without
    assert len(capsys.readouterr().out.splitlines()) == 2 * 4


def test_mistakes_are_one_sentence(tmp_path, capsys):
    tool = load_tool('preparation/make_few_label_lists')
    (tmp_path / 'x_infos_train.pkl').write_bytes(b'no pickle')
    assert tool.main([str(tmp_path / 'x_infos_train.pkl')]) == 1
    assert 'infos of mmdet3d' in capsys.readouterr().err
    assert tool.main([str(tmp_path / 'none.pkl')]) == 1
    assert 'none.pkl is missing' in capsys.readouterr().err
