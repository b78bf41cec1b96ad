"""Files of arrays with names: text of classes, surfaces of objects."""
import numpy as np
import pytest

from sam3d_plugin.store.class_embeddings import read_class_embeddings
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.object_library import read_objects
from tests.datasets.frame_store import write_boxes

CLASSES = dict(names=['wall', 'bed'], embeddings=np.eye(2), model='clip')


@pytest.mark.parametrize('change, word', [
    (dict(names=['wall', 'wall']), 'different'),
    (dict(names='wall'), 'different'),
    (dict(names=[1, 2]), 'different'),
    (dict(names=np.array([], str), embeddings=np.eye(0)), 'different'),
    (dict(model=['clip', 'other']), 'model'),
    (dict(embeddings=[['a', 'b'], ['c', 'd']]), 'finite'),
    (dict(embeddings=[[1., 0], [0, 0]]), 'not 0'),
    (dict(embeddings=np.ones((2, 0))), 'not 0'),
    (dict(embeddings=np.ones(2)), 'shape'),
])
def test_other_classes_are_refused(change, word, tmp_path):
    path = tmp_path / 'classes.npz'
    np.savez(path, **CLASSES)
    assert read_class_embeddings(path).names == CLASSES['names']
    np.savez(path, **{**CLASSES, **change})
    with pytest.raises(StoreError, match=word) as error:
        read_class_embeddings(path)
    assert 'write it again' in str(error.value)


@pytest.mark.parametrize('change', [
    dict(names='box'),
    dict(names=[1, 2]),
    dict(points=np.full((2, 4, 3), 'a')),
    dict(points=np.ones((2, 4))),
])
def test_other_objects_are_refused(change, tmp_path):
    write_boxes(tmp_path)
    path = tmp_path / 'objects.npz'
    objects = dict(np.load(path))
    np.savez(path, **{**objects, **change})
    with pytest.raises(StoreError, match='finite points.*names'):
        read_objects(path)
