import pytest

from sam3d_plugin.synthrooms import splits


def test_short_lists_are_nested_and_have_the_stated_share():
    lists = splits.make_lists(0, 60, 20)
    sizes = {name: len(scans) for name, scans in lists.items()}
    assert sizes == dict(
        train=60, val=20, train_1=1, train_5=3, train_10=6, train_20=12)
    names = ['train_1', 'train_5', 'train_10', 'train_20', 'train']
    for short, long in zip(names[:-1], names[1:]):
        assert set(lists[short]) <= set(lists[long])
    assert not set(lists['train']) & set(lists['val'])


@pytest.mark.parametrize('count, sizes',
                         [(1, (1, 0)), (2, (1, 1)), (7, (6, 1)), (8, (4, 4)),
                          (12, (8, 4)), (80, (60, 20))])
def test_split_sizes(count, sizes):
    assert splits.split_sizes(count) == sizes


def test_presets_are_what_their_number_of_scenes_gives():
    for train, val, _ in splits.PRESETS.values():
        assert splits.split_sizes(train + val) == (train, val)


def test_names_tell_split_and_number():
    for split in ('train', 'val'):
        name = splits.scene_name(split, 17)
        assert splits.scene_of(name) == (split, 17)
