"""Bridge3D with text: classes and captions from files."""
import numpy as np
import pytest
from mmdet3d.registry import MODELS

from projects.bridge3d.frame_text import LoadFrameText
from sam3d_plugin.datasets.transforms.load_frame_labels import CLASSES
from sam3d_plugin.store.class_embeddings import (ClassEmbeddings,
                                                 read_class_embeddings,
                                                 write_class_embeddings)
from sam3d_plugin.store.errors import StoreError, UserError
from sam3d_plugin.store.frame_rows import pack_frames
from tests.datasets.frame_store import BANDS, FRAMES, SCANS, write_data_set
from tests.models.pretraining_cases import losses_of, make_batch
from tests.projects.short_training import read_small, train
from tests.projects.test_bridge3d import batch_of, make


def test_regions_without_areas_or_classes_are_refused(tmp_path):
    with pytest.raises(UserError, match='areas'):
        losses_of(make(), make_batch())
    model = make(target_generator=targets_of(tmp_path, classes_of(2)))
    with pytest.raises(UserError, match='class 2'):
        losses_of(model, batch_of(6, 11))  # classes 0, 1, 2
    batch = batch_of(6, 11)
    for sample in batch['data_samples']:
        del sample.regions.group_ids
    with pytest.raises(UserError, match='region_classes'):
        losses_of(model, batch)


def test_foreground_and_texts_follow_the_classes(tmp_path):
    classes = classes_of(3)
    model = make(target_generator=targets_of(tmp_path, classes))
    batch = batch_of(6, 11)
    batch['data_samples'][0].regions.group_ids[0] = -1
    inputs = model.data_preprocessor(batch, True)
    points, tokens = model.tokenize(**inputs['inputs'])
    targets = model.target_generator(points, tokens, inputs['data_samples'])
    groups, is_target = targets.regions.group_ids, targets.regions.is_target
    assert (groups == -1).any()
    assert targets.is_foreground.equal(is_target & (groups > 0))
    found = targets.class_text[targets.is_foreground].numpy()
    np.testing.assert_array_equal(
        found, classes.embeddings[groups[targets.is_foreground]])


def targets_of(folder, classes, names=None):
    """Targets with text, of classes that the file may have in any order."""
    path = str(folder / 'classes.npz')
    write_class_embeddings(path, classes)
    return dict(
        type='Bridge3DTargets',
        class_embeddings=path,
        classes=names or classes.names)


def test_texts_are_found_by_the_names_of_classes(tmp_path):
    """Of the published 20 of ScanNet, unless others are listed."""
    found = classes_of(3)
    config = targets_of(tmp_path, found, ['class2', 'class0'])
    np.testing.assert_array_equal(
        MODELS.build(config).class_text, found.embeddings[[2, 0]])
    for names, word in ((['class0', 'sofa'], 'sofa'), (CLASSES, 'wall')):
        with pytest.raises(UserError, match=f'no embedding of class {word}'):
            MODELS.build(dict(config, classes=names))
    rows = classes_of(20).embeddings
    config = targets_of(tmp_path, ClassEmbeddings(CLASSES[::-1], rows, 'clip'))
    del config['classes']
    np.testing.assert_array_equal(MODELS.build(config).class_text, rows[::-1])


def classes_of(count, channels=512):
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.normal(size=(channels, count)))[0].T
    return ClassEmbeddings([f'class{i}' for i in range(count)],
                           rows.astype(np.float32), 'random')


def test_class_embeddings_survive_a_file(tmp_path):
    path = tmp_path / 'classes.npz'
    classes = classes_of(4)
    write_class_embeddings(path, classes)
    found = read_class_embeddings(path)
    assert list(found.names) == classes.names and found.model == 'random'
    np.testing.assert_array_equal(found.embeddings, classes.embeddings)


@pytest.mark.parametrize('arrays, word', [
    (dict(names=['a'], embeddings=np.ones((1, 2))), 'model'),
    (dict(names=['a'], embeddings=np.ones((2, 2)), model='m'), 'names'),
    (dict(names=['a'], embeddings=np.array([[np.nan]]), model='m'), 'finite'),
    (None, 'npz'),
])
def test_other_files_are_no_class_embeddings(arrays, word, tmp_path):
    path = tmp_path / 'classes.npz'
    path.write_bytes(b'text')
    if arrays:
        np.savez(path, **arrays)
    with pytest.raises(StoreError, match=word):
        read_class_embeddings(path)


def write_texts(root, channels=512):
    """Captions and classes of a data set's frames, planted."""
    rng = np.random.default_rng(1)
    for folder in ('frame_text', 'region_classes'):
        (root / folder).mkdir()
    for scan in SCANS:
        texts = {
            frame:
            dict(text=rng.normal(size=(1, channels)).astype(np.float16))
            for frame in FRAMES
        }
        classes = {
            frame: dict(classes=np.arange(BANDS, dtype=np.int32) % 4 - 1)
            for frame in FRAMES
        }
        for folder, rows in (('frame_text', texts), ('region_classes',
                                                     classes)):
            (root / folder / f'{scan}.safetensors').write_bytes(
                pack_frames(rows))
    write_class_embeddings(root / 'class_embeddings.npz', classes_of(3))
    return texts


def test_all_losses_train_from_files(tmp_path):
    root = write_data_set(tmp_path / 'data')
    texts = write_texts(root)
    step = LoadFrameText()
    found = step(dict(data_root=str(root), scan=SCANS[-1], frame=FRAMES[1]))
    expected = texts[FRAMES[1]]['text'][0].astype(np.float32)
    np.testing.assert_array_equal(found['frame_text'], expected)
    cfg = read_small('projects/bridge3d/configs/bridge3d_text.py', root,
                     tmp_path / 'work')
    assert cfg.model.target_generator.class_embeddings == str(
        root / 'class_embeddings.npz')
    cfg.model.target_generator.classes = classes_of(3).names
    for name in ('region_text', 'scene_text'):
        cfg.model[name].in_channels = 64
    runner = train(cfg, 2)
    scalars = runner.message_hub.log_scalars
    for name in ('chamfer', 'region_image', 'region_text', 'scene_image',
                 'scene_text'):
        losses = scalars[f'train/loss_{name}'].data[0]
        assert len(losses) == 2 and (losses > 0).all(), name


@pytest.mark.parametrize('rows', [
    dict(text=np.zeros((2, 4), np.float16)),
    dict(text=np.full((1, 4), np.nan, np.float16)),
])
def test_a_frame_with_other_texts_is_refused(rows, tmp_path):
    place = dict(data_root=str(tmp_path), scan='a', frame='0')
    with pytest.raises(FileNotFoundError, match='described'):
        LoadFrameText()(place)
    (tmp_path / 'frame_text').mkdir()
    (tmp_path / 'frame_text/a.safetensors').write_bytes(
        pack_frames({'0': rows}))
    with pytest.raises(StoreError, match='text feature'):
        LoadFrameText()(place)
