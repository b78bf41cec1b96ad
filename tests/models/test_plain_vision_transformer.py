"""Our vision transformer is timm's."""
import pytest
import torch
from mmdet3d.registry import MODELS

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.store.checkpoint import read_checkpoint
from sam3d_plugin.store.errors import StoreError, UserError
from sam3d_plugin.store.loading import load_encoder
from tests.tools.conftest import load_tool

SIZES = dict(
    embed_dims=192,
    depth=12,
    num_heads=3,
    mlp_ratio=4.,
    patch_size=16,
    image_size=224)


@pytest.fixture
def timm():
    return pytest.importorskip('timm')


def export(network, model, folder):
    """What the tool writes of a network's weights."""
    source, out = folder / 'weights.pth', folder / 'vit.pth'
    torch.save(network.state_dict(), source)
    main = load_tool('preparation/export_vit').main
    assert main([model, str(out), str(source)]) == 0
    return read_checkpoint(out)


@pytest.mark.parametrize('model, sides, layer_scale', [
    ('vit_tiny_patch16_224', [(224, 224), (96, 160)], False),
    ('vit_small_patch14_dinov2', [(70, 112)], True),
])
def test_it_equals_timm(timm, model, sides, layer_scale, tmp_path):
    torch.manual_seed(0)
    reference = timm.create_model(model, dynamic_img_size=True).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter += .02 * torch.randn_like(parameter)
    file = export(reference, model, tmp_path)
    meta = dict(file['meta'])
    assert meta.pop('model') == model
    assert meta.pop('weights') == 'weights.pth'
    assert meta['layer_scale'] == layer_scale
    if not layer_scale:
        assert meta == dict(SIZES, layer_scale=False)
    ours = MODELS.build(dict(meta, type='PlainVisionTransformer')).eval()
    report = load_encoder(ours, file['state_dict'])
    assert len(report.matched) == len(file['state_dict'])
    for side in sides:
        images = torch.randn(1, 3, *side)
        with torch.no_grad():
            torch.testing.assert_close(
                ours(images),
                reference.forward_features(images),
                rtol=1e-4,
                atol=1e-4)


def test_sides_are_multiples_of_the_patch():
    vit = MODELS.build(
        dict(
            type='PlainVisionTransformer',
            embed_dims=8,
            depth=1,
            num_heads=2,
            patch_size=4,
            image_size=8))
    assert vit(torch.zeros(1, 3, 4, 12)).shape == (1, 4, 8)
    with pytest.raises(UserError, match='multiples'):
        vit(torch.zeros(1, 3, 6, 8))


@pytest.mark.parametrize('model, word', [
    ('resnet18', 'plain'),
    ('vit_small_patch14_reg4_dinov2', 'reg_token'),
    ('vit_enormous', 'timm'),
])
def test_other_models_are_refused(timm, model, word, tmp_path, monkeypatch):
    from sam3d_plugin.preparation.features import vision_transformer as module
    build = module._build
    monkeypatch.setattr(module, '_build', lambda name, **_: build(name, False))
    with pytest.raises(StoreError, match=word):
        module.export_vision_transformer(model, None,
                                         str(tmp_path / 'vit.pth'))
    assert not list(tmp_path.iterdir())
