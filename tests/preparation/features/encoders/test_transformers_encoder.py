"""DINOv3 and SigLIP 2: features of the models' own forward, on a grid."""
import pickle
import shutil

import numpy as np
import pytest
import torch

from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.transformers_models import import_transformers
from sam3d_plugin.store.errors import StoreError
from tests.preparation.tiny_transformers import (save_dinov3, save_siglip,
                                                 save_siglip2)

SAVERS = dict(dinov3=save_dinov3, siglip=save_siglip, siglip2=save_siglip2)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    return {name: str(save(folder / name)) for name, save in SAVERS.items()}


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        for size in [(32, 48), (24, 48), (32, 48)]
    ]


def build(folder, **options):
    return build_encoder('transformers', {
        'checkpoint': folder,
        'device': 'cpu',
        'long_side': 48,
        **options
    })


@torch.inference_mode()
def expected(name, folder, image):
    """By the model's own processor, at the size that needs no resizing."""
    t = import_transformers()
    height, width = image.shape[:2]
    kind, options = dict(
        dinov3=('DINOv3ViTModel', {}),
        siglip=('SiglipVisionModel', dict(interpolate_pos_encoding=True)),
        siglip2=('Siglip2VisionModel', {}))[name]
    model = getattr(t, kind).from_pretrained(folder).eval()
    processor = t.AutoImageProcessor.from_pretrained(folder)
    size = dict(max_num_patches=height * width // 64) \
        if name == 'siglip2' else dict(do_resize=False)
    inputs = processor(images=image, return_tensors='pt', **size)
    tokens = model(**inputs, **options).last_hidden_state[0]
    first = 5 if name == 'dinov3' else 0  # class token and four registers
    return tokens[first:].T.reshape(-1, height // 8, width // 8)


@pytest.mark.parametrize('name', SAVERS)
def test_features_are_those_of_the_models_own_forward(name, folders, images):
    """Also for images that are not square, as frames are."""
    encoder = build(folders[name], batch_size=2)
    for image, features in zip(images, encoder.encode(images)):
        assert features.dtype == torch.float32
        torch.testing.assert_close(
            features,
            expected(name, folders[name], image),
            atol=2e-4,
            rtol=1e-3)


@pytest.mark.parametrize('name', SAVERS)
def test_features_belong_to_their_place(name, folders, images):
    """A patch that changes changes its own feature most."""
    image = images[0]
    changed = image.copy()
    changed[8:16, 32:40] = (255, 0, 80)
    first, second = build(folders[name]).encode([image, changed])
    difference = (first - second).norm(dim=0)
    assert difference.shape == (4, 6)
    assert difference.argmax() == 1 * 6 + 4


@pytest.mark.parametrize('name', SAVERS)
def test_settings_and_workers(name, folders, images, tmp_path):
    encoder = build(folders[name])
    settings = encoder.settings()
    assert len(settings['checkpoint_sha256']) == 64
    assert str(folders[name]) not in repr(settings)
    before = encoder.encode(images[:1])[0]
    after = pickle.loads(pickle.dumps(encoder)).encode(images[:1])[0]
    torch.testing.assert_close(before, after)
    half = build(folders[name], autocast='bfloat16')
    assert half.settings() != settings
    assert (half.encode(images[:1])[0] - before).abs().mean() < .1


@pytest.mark.parametrize('options, word', [
    (dict(autocast='int8'), 'autocast'),
    (dict(batch_size=0), 'positive'),
    (dict(device='tpu9'), 'tpu9'),
    (dict(layer=3), 'no option'),
])
def test_bad_options(options, word, folders):
    with pytest.raises(StoreError, match=word):
        build(folders['dinov3'], **options)


def test_other_folders(folders, images, tmp_path):
    with pytest.raises(StoreError, match='not a folder'):
        build(str(tmp_path / 'none')).settings()
    folder = shutil.copytree(folders['dinov3'], tmp_path / 'other')
    config = folder / 'config.json'
    text = config.read_text()
    config.write_text(text.replace('"dinov3_vit"', '"bert"'))
    with pytest.raises(StoreError, match="'bert'"):
        build(str(folder)).settings()
    config.write_text(text.replace('"hidden_size": 16', '"hidden_size": 32'))
    with pytest.raises(StoreError, match='lack'):
        build(str(folder)).encode(images)
