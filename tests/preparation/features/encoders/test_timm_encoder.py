"""timm's models: weights, layers, sizes. Small ones with random weights."""
import pickle

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.features.encoders.timm_encoder import resize
from sam3d_plugin.store.errors import StoreError

DINO = 'vit_small_patch14_dinov2'
REGISTERS = 'vit_small_patch14_reg4_dinov2'
CLIP = 'vit_base_patch16_clip_224'
QUICK = 'vit_base_patch16_clip_quickgelu_224.openai'
DINO3 = 'vit_small_patch16_dinov3'
SIGLIP = 'vit_base_patch16_siglip_512'
SMALL = dict(embed_dim=24, depth=3, num_heads=2)
CLASSIFIERS = ('vit_small_patch16_224', f'{CLIP}.openai_ft_in1k')
SIDES = {
    DINO: 56,
    REGISTERS: 56,
    **dict.fromkeys((CLIP, DINO3, SIGLIP, *CLASSIFIERS), 64)
}


def small(name):
    return dict(SMALL, img_size=SIDES[name])


def make_model(name, seed=0, **kwargs):
    """A model all of whose tensors matter (layer scales are 1e-5 at first)."""
    torch.manual_seed(seed)
    model = timm.create_model(name, **{**small(name), **kwargs}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.normal_(0, fan_in**-0.5)
    return model


def save(path, state):
    if path.suffix == '.safetensors':
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


def make_encoder(name, **options):
    return build_encoder('timm',
                         dict(model=name, model_kwargs=small(name), **options))


def make_image(seed, height, width):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def reference(model, image, size):
    """Patch tokens of the last block after its norm, by timm's own way."""
    mean, std = (
        torch.tensor(model.pretrained_cfg[k])[:, None, None]
        for k in ('mean', 'std'))
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    pixels = (resize(pixels, size) / 255 - mean) / std
    with torch.no_grad():
        tokens = model.forward_features(pixels)[:, model.num_prefix_tokens:]
    patch = model.patch_embed.patch_size[0]
    shape = size[0] // patch, size[1] // patch
    return tokens[0].T.reshape(-1, *shape)


@pytest.mark.parametrize('name', SIDES)
@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_checkpoints_come_back(tmp_path, name, ending):
    model = make_model(name, num_classes=0)
    path = save(tmp_path / f'weights.{ending}', model.state_dict())
    encoder = make_encoder(name, checkpoint=path, long_side=SIDES[name])
    image = make_image(0, SIDES[name], SIDES[name])
    found, = encoder.encode([image])
    expected = reference(model, image, (SIDES[name], ) * 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def to_facebook(model):
    """A state dict in the naming of DINOv2's authors."""
    state = dict(model.state_dict(), mask_token=torch.zeros(1, 24))
    if 'reg_token' in state:
        state['register_tokens'] = state.pop('reg_token')
        first = torch.full((1, 1, 24), 0.25)
        state['cls_token'] = state['cls_token'] - first
        state['pos_embed'] = torch.cat([first, state['pos_embed']], 1)
    return state


@pytest.mark.parametrize('name', [DINO, REGISTERS])
def test_files_of_the_authors_of_dinov2(tmp_path, name):
    model = make_model(name, num_classes=0)
    own = save(tmp_path / 'own.pth', model.state_dict())
    theirs = save(tmp_path / 'theirs.pth', to_facebook(model))
    image = make_image(0, 40, 56)
    ours, fb = (
        make_encoder(name, checkpoint=path, long_side=56).encode([image])[0]
        for path in (own, theirs))
    torch.testing.assert_close(ours, fb, atol=1e-5, rtol=1e-5)


def to_open_clip(model):
    """The image tower and a piece of the text tower as OpenCLIP stores it."""
    names = [('patch_embed.proj', 'conv1'), ('norm_pre', 'ln_pre'),
             ('blocks.', 'transformer.resblocks.'), ('norm1', 'ln_1'),
             ('norm2', 'ln_2'), ('attn.qkv.', 'attn.in_proj_'),
             ('attn.proj', 'attn.out_proj'), ('mlp.fc1', 'mlp.c_fc'),
             ('mlp.fc2', 'mlp.c_proj')]
    state = {'token_embedding.weight': torch.zeros(5, 8)}
    for key, value in model.state_dict().items():
        if key == 'cls_token':
            key, value = 'class_embedding', value[0, 0]
        elif key == 'pos_embed':
            key, value = 'positional_embedding', value[0]
        elif key.startswith('norm.'):
            key = key.replace('norm', 'ln_post')
        for ours, theirs in names:
            key = key.replace(ours, theirs)
        state[f'visual.{key}'] = value
    state['visual.proj'] = torch.zeros(24, 8)
    return state


def test_clip_towers_of_openclip(tmp_path):
    model = make_model(CLIP, num_classes=0)
    path = save(tmp_path / 'clip.pth', dict(state_dict=to_open_clip(model)))
    encoder = make_encoder(CLIP, checkpoint=path, long_side=64)
    image = make_image(0, 64, 64)
    torch.testing.assert_close(
        encoder.encode([image])[0],
        reference(model, image, (64, 64)),
        atol=1e-5,
        rtol=1e-5)
    assert encoder.settings()['mean'][0] == pytest.approx(0.48145466)


def test_sizes_keep_the_aspect():
    encoder = make_encoder(DINO, random_weights_seed=0, long_side=112)
    shapes = [(480, 640), (640, 480), (97, 131), (968, 1296), (30, 400)]
    maps = encoder.encode([make_image(0, *shape) for shape in shapes])
    # 84, 84, 82.9 rounds to 84, 83.7 to 84; 8.4 to one patch.
    assert [tuple(m.shape[1:]) for m in maps] == [(6, 8), (8, 6), (6, 8),
                                                  (6, 8), (1, 8)]


def test_batches_equal_single_images():
    encoder = make_encoder(
        DINO, random_weights_seed=0, long_side=56, batch_size=2)
    images = [make_image(i, 40, 56) for i in range(3)]
    images.insert(1, make_image(3, 56, 40))
    together = encoder.encode(images)
    for image, found in zip(images, together):
        torch.testing.assert_close(
            found, encoder.encode([image])[0], atol=1e-5, rtol=1e-5)


def test_layers_and_norm(tmp_path):
    image = make_image(0, 56, 56)
    model = make_model(DINO, num_classes=0)
    path = save(tmp_path / 'a.pth', model.state_dict())
    common = dict(checkpoint=path, long_side=56)
    maps = [
        make_encoder(DINO, layer=layer, norm=norm, **common).encode([image])[0]
        for layer, norm in ((-1, True), (2, True), (1, True), (-1, False))
    ]
    assert (maps[0] == maps[1]).all()
    assert (maps[0] - maps[2]).abs().max() > 0.1
    with torch.no_grad():
        normed = model.norm(maps[3].permute(1, 2, 0))
    torch.testing.assert_close(maps[0], normed.permute(2, 0, 1))
    with pytest.raises(StoreError, match='layers 0 to 2, or -3 to -1'):
        make_encoder(DINO, **dict(common, layer=3)).settings()


def test_cnns():
    encoder = build_encoder(
        'timm',
        dict(model='resnet10t', random_weights_seed=0, long_side=96, layer=-2))
    found, = encoder.encode([make_image(0, 60, 90)])
    assert encoder.settings()['multiple'] == 32
    assert found.shape == (256, 4, 6)


def test_resizing_shifts_nothing():
    ramp = torch.arange(40.).expand(1, 3, 20, 40)
    small = resize(ramp, (10, 20))
    assert small[0, 0, 5, 1:-1].tolist() == pytest.approx(
        np.arange(20)[1:-1] * 2 + 0.5, abs=0.05)


def test_settings_name_everything(tmp_path):
    path = save(tmp_path / 'a.pth', make_model(DINO).state_dict())
    settings = make_encoder(DINO, checkpoint=path).settings()
    assert settings['model'] == DINO
    assert settings['long_side'] == 644
    assert settings['multiple'] == 14
    assert len(settings['checkpoint_sha256']) == 64
    assert str(tmp_path) not in str(settings)
    other = save(tmp_path / 'b.pth', make_model(DINO, seed=1).state_dict())
    found = make_encoder(DINO, checkpoint=other).settings()
    assert found['checkpoint_sha256'] != settings['checkpoint_sha256']


def test_workers_load_the_model_themselves():
    encoder = make_encoder(DINO, random_weights_seed=3, long_side=56)
    image = make_image(0, 56, 56)
    found, = encoder.encode([image])
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy._network is None
    assert (copy.encode([image])[0] == found).all()
    before = torch.random.get_rng_state()
    make_encoder(DINO, random_weights_seed=4).encode([image])
    assert (torch.random.get_rng_state() == before).all()


def test_the_model_is_loaded_once(monkeypatch):
    encoder = make_encoder(DINO, random_weights_seed=3, long_side=56)
    encoder.encode([make_image(0, 56, 56)])
    monkeypatch.setattr(timm, 'create_model', None)
    encoder.encode([make_image(1, 56, 56)])


def test_autocast_is_close_and_named():
    image = make_image(0, 56, 56)
    maps = [
        make_encoder(
            DINO, random_weights_seed=0, long_side=56,
            autocast=autocast).encode([image])[0]
        for autocast in ('none', 'bfloat16')
    ]
    assert maps[1].dtype == torch.float32
    assert not (maps[0] == maps[1]).all()
    torch.testing.assert_close(maps[0], maps[1], atol=0.1, rtol=0.1)


def wrong_model(path):
    return save(path, make_model(CLIP).state_dict()), 'unexpected'


def missing_block(path):
    state = make_model(DINO).state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith('blocks.2')}
    return save(path, kept), r'missing \(blocks.2[^)]*, \.\.\.\)'


def other_width(path):
    model = make_model(DINO, embed_dim=32)
    return save(path, model.state_dict()), 'of another shape'


def half_a_file(path):
    save(path, make_model(DINO).state_dict())
    path.write_bytes(path.read_bytes()[:-100])
    return str(path), 'truncated'


def no_file(path):
    return str(path), 'is missing'


@pytest.mark.parametrize(
    'make', [wrong_model, missing_block, other_width, half_a_file, no_file])
def test_wrong_checkpoints_are_refused(tmp_path, make):
    path, reason = make(tmp_path / 'weights.pth')
    encoder = make_encoder(DINO, checkpoint=path, long_side=56)
    with pytest.raises(StoreError, match=reason) as caught:
        encoder.encode([make_image(0, 56, 56)])
    assert 'weights.pth' in str(caught.value)
    assert len(str(caught.value)) < 1000
    with pytest.raises(StoreError, match=reason):
        encoder.settings()  # before a store is started


@pytest.mark.parametrize('options, reason', [
    (dict(), 'needs weights'),
    (dict(checkpoint='a.pth', random_weights_seed=0), 'needs weights'),
    (dict(random_weights_seed=0, autocast='int8'), 'none, bfloat16'),
    (dict(random_weights_seed=0, long_side=0), 'positive'),
    (dict(random_weights_seed=0, device='abacus'), 'auto, cpu or cuda'),
    (dict(random_weights_seed=0, size=3), 'no option size.*long_side=644'),
])
def test_bad_options_are_refused(options, reason):
    with pytest.raises(StoreError, match=reason):
        build_encoder('timm', options)


@pytest.mark.parametrize('model, reason', [
    ('vit_no_such_model', 'cannot build'),
    ('mixer_s16_224', 'choose another'),
])
def test_models_that_cannot_be_used(model, reason):
    encoder = build_encoder(
        'timm', dict(model=model, random_weights_seed=0, long_side=64))
    with pytest.raises(StoreError, match=reason):
        encoder.encode([make_image(0, 40, 64)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_a_gpu_gives_the_same_features():
    image = make_image(0, 40, 56)
    maps = [
        make_encoder(DINO, random_weights_seed=0, long_side=56,
                     device=device).encode([image])[0].cpu()
        for device in ('cpu', 'cuda')
    ]
    torch.testing.assert_close(*maps, atol=1e-3, rtol=1e-3)


def test_values_of_the_last_attention_in_the_space_of_text(tmp_path):
    """Against a reference that treats every patch alone."""
    options = dict(num_classes=10, init_values=.1)  # so layers have scales
    model = make_model(CLIP, **options)
    encoder = make_encoder(
        CLIP,
        checkpoint=save(tmp_path / 'clip.pth', model.state_dict()),
        long_side=64,
        text_space=True)
    encoder.model_kwargs.update(options)
    image = make_image(0, 48, 64)
    found, = encoder.encode([image])
    assert found.shape == (10, 3, 4)
    model.set_input_size((48, 64))
    block, seen = model.blocks[-1], []
    block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    reference(model, image, (48, 64))
    weight, bias = block.attn.qkv.weight[48:], block.attn.qkv.bias[48:]
    with torch.no_grad():
        for place, token in enumerate(seen[0][0, 1:]):
            value = weight @ block.norm1(token) + bias
            token = token + block.ls1(block.attn.proj(value))
            token = token + block.ls2(block.mlp(block.norm2(token)))
            expected = model.head(model.norm(token))
            torch.testing.assert_close(
                found[:, place // 4, place % 4],
                expected,
                atol=1e-4,
                rtol=1e-4)
    settings = encoder.settings()
    assert settings['text_space'] and settings['model'] == CLIP


@pytest.mark.parametrize('name, options, reason', [
    (DINO, {}, 'no projection'),
    *((name, {}, 'no projection') for name in CLASSIFIERS),
    ('eva02_base_patch16_clip_224', {}, 'no projection'),
    ('eva_giant_patch14_clip_224', {}, 'no projection'),
    (f'{CLIP}.openai', {}, QUICK),
    (CLIP, dict(layer=0), 'last layer'),
    (CLIP, dict(norm=False), 'norm'),
])
def test_features_outside_the_space_of_text_are_refused(name, options, reason):
    encoder = build_encoder(
        'timm',
        dict(model=name, random_weights_seed=0, text_space=True, **options))
    with pytest.raises(StoreError, match=f'text_space.*{reason}'):
        encoder.settings()


@pytest.mark.parametrize('name', [QUICK, f'{CLIP}.laion2b'])
def test_activations_are_those_of_the_training(name):
    encoder = build_encoder(
        'timm', dict(model=name, random_weights_seed=0, text_space=True))
    assert encoder.settings()['model'] == name
