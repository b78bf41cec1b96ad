"""Encoders as folders: what is in them, and everything that takes them."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmdet3d.registry import MODELS
from mmengine.config import Config
from safetensors.torch import load_file, save_file

from sam3d_plugin.cli.training import check_teacher
from sam3d_plugin.engine.export import export_backbone, read_encoder
from sam3d_plugin.experiments.records import file_mark
from sam3d_plugin.models import PointTokenBackbone
from sam3d_plugin.models.backbones.pretrained_folder import _hub_class
from sam3d_plugin.ops.scene_origin import find_origins
from sam3d_plugin.store.checkpoint import CheckpointError, read_checkpoint
from sam3d_plugin.store.encoder_folder import read_settings
from sam3d_plugin.store.errors import UserError
from tests.datasets.frame_store import (write_frames, write_region_features,
                                        write_region_maps)
from tests.models.pretraining_cases import (EMBEDDING, ENCODER, KNN, SAM,
                                            STAGE1, build, make_batch)
from tests.tools.conftest import load_tool

ROOT = Path(__file__).parents[2]
KEYS = ROOT / 'tests' / 'models' / 'encoder_keys.txt'
FRAME = dict(type='LoadRGBDPoints', num_points=300)


def save_checkpoint(folder, data_root='data/rooms', pipeline=(FRAME, )):
    """A checkpoint with mmengine's meta, and its model."""
    model = build(STAGE1).eval()
    model.init_weights()
    model.frames_seen += 96
    dataset = dict(data_root=str(data_root), pipeline=list(pipeline))
    cfg = Config(dict(model=STAGE1, train_dataloader=dict(dataset=dataset)))
    path = folder / 'epoch_3.pth'
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)),
        path)
    return str(path), model


@pytest.fixture
def exported(tmp_path):
    """The folder of an encoder, and its model."""
    checkpoint, model = save_checkpoint(tmp_path)
    export_backbone(checkpoint, str(tmp_path / 'encoder'), license='mit')
    return tmp_path / 'encoder', model


def change_weights(folder, **tensors):
    state = load_file(folder / 'model.safetensors')
    state.update(tensors)
    save_file({
        k: v
        for k, v in state.items() if v is not None
    }, folder / 'model.safetensors')


def test_a_sparse_unet_has_a_folder_too(tmp_path):
    config = ROOT / 'projects/point_contrast/configs'
    export_backbone(
        str(config / 'point_contrast_voxels_mini.py'), str(tmp_path / 'unet'))
    card = (tmp_path / 'unet' / 'README.md').read_text()
    assert 'A sparse U-Net on voxels' in card and '| voxels | 0.1 m |' in card
    assert 'PointTokenBackbone' not in card
    state = read_checkpoint(tmp_path / 'unet')['state_dict']
    fresh, _ = read_encoder(str(config / 'point_contrast_voxels_mini.py'))
    assert state.keys() == fresh.keys()


def test_a_folder_holds_what_a_file_holds(exported, tmp_path):
    folder, model = exported
    names = {'model.safetensors', 'config.json', 'README.md', 'pretraining.py'}
    assert {path.name for path in folder.iterdir()} == names
    export_backbone(str(tmp_path / 'epoch_3.pth'), str(tmp_path / 'e.pth'))
    export_backbone(str(folder), str(tmp_path / 'again.pth'))
    file, again = (
        read_checkpoint(tmp_path / name) for name in ('e.pth', 'again.pth'))
    found = read_checkpoint(folder)
    for name, tensor in model.backbone.state_dict().items():
        assert found['state_dict'][name].equal(tensor)
        assert file['state_dict'][name].equal(tensor)
        assert again['state_dict'][name].equal(tensor)
    assert len(found['state_dict']) == len(model.backbone.state_dict())
    for key, value in file['meta'].items():
        assert found['meta'][key] == again['meta'][key] == value, key
    config = Config.fromfile(folder / 'pretraining.py')
    assert config.model.type == 'RegionDistillPretrainer'


def test_configs_and_probes_take_a_folder(exported):
    folder, model = exported
    backbone = MODELS.build(
        dict(
            type='PointTokenBackbone',
            tokenizer=dict(SAM, split=True, num_tokens=16),
            embedding=EMBEDDING,
            encoder=ENCODER,
            out_channels=8,
            init_cfg=dict(type='Pretrained', checkpoint=str(folder))))
    backbone.init_weights()
    report = backbone.load_report
    assert not report.missing and not report.unexpected
    assert report.num_expected == len(report.matched)
    state, meta = read_encoder(str(folder))
    for name, tensor in model.backbone.state_dict().items():
        assert state[name].equal(tensor)
        assert backbone.state_dict()[name].equal(tensor)
    assert meta['tokenizer'] == SAM and meta['frames_seen'] == 96


def test_a_folder_is_read_strictly(exported):
    folder, _ = exported
    before = load_file(folder / 'model.safetensors')
    change_weights(folder, **{'encoder.norm.weight': None})
    for read in (PointTokenBackbone.from_pretrained, read_encoder):
        with pytest.raises(CheckpointError, match='encoder.norm.weight'):
            read(str(folder))
    change_weights(folder, **{'encoder.norm.weight': torch.ones(5)})
    with pytest.raises(CheckpointError, match='shapes'):
        PointTokenBackbone.from_pretrained(folder)
    save_file(before, folder / 'model.safetensors')
    assert PointTokenBackbone.from_pretrained(folder)


@pytest.mark.parametrize('text, word', [('{"format": ', 'damaged'),
                                        ('{"model_type": "bert"}', 'not that'),
                                        ('[]', 'not that')])
def test_other_folders_are_refused(exported, tmp_path, text, word):
    folder, _ = exported
    (folder / 'config.json').write_text(text)
    with pytest.raises(CheckpointError, match=word):
        read_checkpoint(folder)
    (folder / 'config.json').unlink()
    with pytest.raises(UserError, match='config.json'):
        PointTokenBackbone.from_pretrained(folder)
    with pytest.raises(FileNotFoundError, match='folder'):
        read_checkpoint(folder)
    with pytest.raises(UserError, match='other files'):
        export_backbone(str(tmp_path / 'epoch_3.pth'), str(tmp_path))


def test_incomplete_folders_are_refused(exported):
    folder, _ = exported
    (folder / 'model.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match='model.safetensors'):
        read_checkpoint(folder)


def test_names_and_shapes_of_an_exported_encoder_are_frozen(tmp_path, request):
    """Files that people have published must load with every later version."""
    export_backbone(
        str(ROOT / 'configs/sam3d/stage1_scannet.py'), str(tmp_path / 'e'))
    found = ''.join(
        f'{name} {tuple(tensor.shape)}\n' for name, tensor in sorted(
            load_file(tmp_path / 'e' / 'model.safetensors').items()))
    if request.config.getoption('--write-golden'):
        KEYS.write_text(found)
    assert found == KEYS.read_text(), 'published encoders would not load'


def test_a_backbone_computes_what_the_encoder_did(exported):
    folder, model = exported
    loaded = PointTokenBackbone.from_pretrained(folder)
    assert loaded.center == 'floor' and not loaded.training
    points = torch.stack(make_batch((6, 6))['inputs']['points'])
    # As LoadRGBDPoints gives them to the pre-training.
    points[..., :3] -= find_origins(points[..., :3], 'floor')[:, None]
    with torch.no_grad():
        xyz, tokens = model.backbone.tokenize(points)
        expected = model.backbone.encode_tokens(xyz, tokens)
        features = loaded.encode_tokens(*loaded.tokenize(points))
    kept = ~tokens.is_padding
    torch.testing.assert_close(features[kept], expected[kept])
    other = PointTokenBackbone.from_pretrained(
        folder, tokenizer=KNN, out_channels=8, center='none')
    assert other(points)['fp_features'][0].shape[1] == 8


def test_the_card_names_models_and_licenses(tmp_path):
    data = tmp_path / 'data'
    write_frames(data)
    write_region_maps(data)
    settings = dict(
        generator='sam', options=dict(model='vit_h', checkpoint_sha256='ab'))
    write_region_features(data, settings)
    header = data / 'region_features' / 'store.json'
    content = json.loads(header.read_text())
    content['settings'].update(
        encoder='timm', options=dict(model='vit_base_patch14_dinov2'))
    header.write_text(json.dumps(content))
    checkpoint, _ = save_checkpoint(tmp_path, data,
                                    (FRAME, dict(type='LoadRegionTargets')))
    for name, scores in (('votenet', {
            'mAP_0.25': .5,
            'chair_AP_0.25': .9
    }), ('probe', dict(own=dict(miou=.25), settings={}))):
        (tmp_path / f'{name}.json').write_text(json.dumps(scores))
    tool = load_tool('export_backbone')
    tool.main(
        tool.parse_args([
            checkpoint, '--out',
            str(tmp_path / 'e'), '--license', 'cc-by-nc-4.0', '--scores',
            str(tmp_path / 'votenet.json'),
            str(tmp_path / 'probe.json')
        ]))
    card = (tmp_path / 'e' / 'README.md').read_text()
    _, head, body = card.split('---\n', 2)
    assert yaml.safe_load(head)['license'] == 'cc-by-nc-4.0'
    assert 'sam vit_h ab; license: Apache-2.0' in body
    assert 'dinov2; license: Apache-2.0 (DINOv2)' in body
    assert '| votenet | mAP_0.25 | 0.5000 |' in body
    assert '| probe | own miou | 0.2500 |' in body and 'chair' not in body
    assert 'RegionDistillPretrainer' in body and f'{data} |' not in body
    assert 'python tools/train.py pretraining.py' in body
    images = read_settings(tmp_path / 'e')['images']
    assert images['regions']['license'] == 'Apache-2.0 (Segment Anything)'


def test_the_origin_of_views_is_known(tmp_path):
    """Pairs of frames load each of them inside another step."""
    views = dict(type='TwoViews', transforms=[dict(FRAME, center='mean')])
    checkpoint, _ = save_checkpoint(tmp_path, pipeline=[views])
    export_backbone(checkpoint, str(tmp_path / 'e'))
    assert PointTokenBackbone.from_pretrained(tmp_path / 'e').center == 'mean'


def test_scores_are_added_to_a_card(exported, tmp_path):
    folder, _ = exported
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ('first', 'second'):
        (tmp_path / f'{name}.json').write_text('{"miou": 0.5}')
        export_backbone(
            str(folder), str(folder), scores=[str(tmp_path / f'{name}.json')])
    card = (folder / 'README.md').read_text()
    assert '| first | miou' in card and '| second | miou' in card
    assert 'license: mit' in card and 'pretraining.py' in card
    for name in ('model.safetensors', 'pretraining.py'):
        assert (folder / name).read_bytes() == before[name]


def test_a_card_says_what_is_unknown(tmp_path):
    checkpoint, _ = save_checkpoint(tmp_path, tmp_path / 'gone',
                                    (FRAME, dict(type='LoadRegionTargets')))
    export_backbone(checkpoint, str(tmp_path / 'e'))
    card = (tmp_path / 'e' / 'README.md').read_text()
    assert '2D features | unknown; license: unknown' in card
    assert 'license: unknown\n' in card and 'None were given' in card
    (tmp_path / 'no.json').write_text('{"seconds": 3}')
    with pytest.raises(UserError, match='none of'):
        export_backbone(
            checkpoint,
            str(tmp_path / 'f'),
            scores=[str(tmp_path / 'no.json')])


def test_records_and_stage_2_know_folders(exported, tmp_path):
    folder, _ = exported
    mark = file_mark(str(folder))
    assert mark['file'] == 'encoder' and len(mark['sha256']) == 16
    change_weights(folder, **{'encoder.norm.weight': torch.zeros(32)})
    assert file_mark(str(folder))['sha256'] != mark['sha256']
    targets = dict(checkpoint=str(folder))
    check_teacher(dict(STAGE1, target_generator=targets))
    with pytest.raises(UserError, match='the student has KNNTokenizer'):
        check_teacher(dict(tokenizer=KNN, target_generator=targets))
    with pytest.raises(FileNotFoundError, match='teacher'):
        check_teacher(
            dict(target_generator=dict(checkpoint=str(tmp_path / 'none'))))


def test_a_folder_is_published_as_it_is(exported, tmp_path, monkeypatch):
    from huggingface_hub import hub_mixin
    folder, _ = exported
    loaded = PointTokenBackbone.from_pretrained(folder)
    uploaded = {}

    class Api:

        def __init__(self, token):
            pass

        def create_repo(self, repo_id, private, exist_ok):
            return type('Url', (), dict(repo_id=repo_id))

        def upload_folder(self, folder_path, **options):
            uploaded.update({
                path.name: path.read_bytes()
                for path in Path(folder_path).iterdir()
            })
            return options['repo_id']

    monkeypatch.setattr(hub_mixin, 'HfApi', Api)
    assert loaded.push_to_hub('me/encoder', private=True) == 'me/encoder'
    assert uploaded == {
        path.name: path.read_bytes()
        for path in folder.iterdir()
    }
    with torch.no_grad():
        loaded.encoder.norm.weight += 1
    for publish in (loaded.push_to_hub, loaded.save_pretrained):
        with pytest.raises(UserError, match='have changed'):
            publish('me/encoder')
    with pytest.raises(UserError, match='not loaded from'):
        build(
            dict(STAGE1['backbone'], type='PointTokenBackbone'),
            out_channels=None).push_to_hub('me/encoder')


def test_the_mixin_reads_what_it_wrote(exported, tmp_path):
    folder, _ = exported
    loaded = PointTokenBackbone.from_pretrained(folder)
    hub = _hub_class(PointTokenBackbone, '')
    hub(loaded).save_pretrained(tmp_path / 'copy')
    again = hub.from_pretrained(tmp_path / 'copy', out_channels=8)
    for name, tensor in loaded.state_dict().items():
        assert again.state_dict()[name].equal(tensor)
    assert (tmp_path / 'copy' /
            'README.md').read_text() == (folder / 'README.md').read_text()


def test_a_name_of_the_hub_is_read_from_its_cache(exported, tmp_path):
    folder, model = exported
    cache = tmp_path / 'cache' / 'models--me--encoder'
    commit = 'a' * 40
    (cache / 'snapshots').mkdir(parents=True)
    (cache / 'refs').mkdir()
    (cache / 'refs' / 'main').write_text(commit)
    folder.rename(cache / 'snapshots' / commit)
    options = dict(cache_dir=tmp_path / 'cache', local_files_only=True)
    loaded = PointTokenBackbone.from_pretrained('me/encoder', **options)
    for name, tensor in model.backbone.state_dict().items():
        assert loaded.state_dict()[name].equal(tensor)
    with pytest.raises(UserError, match='not a folder'):
        PointTokenBackbone.from_pretrained('me/other', **options)


@pytest.mark.parametrize('name', [
    './encoder', '/work/none', 'a/b/encoder', 'here/encodr', 'encoder.pth',
    Path('me/encoder')
])
def test_a_path_is_not_asked_for_at_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'here').mkdir()
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(UserError, match='is not the folder of an encoder'):
        PointTokenBackbone.from_pretrained(name)


@pytest.mark.parametrize('points', [[[0, 0, 0]],
                                    np.zeros((9, 3)),
                                    torch.zeros(9, 3),
                                    torch.zeros(1, 9, 2)])
def test_points_of_another_form_are_refused(exported, points):
    encoder = PointTokenBackbone.from_pretrained(exported[0])
    with pytest.raises(UserError, match=r'tensor \(B, N, 3 \+ D\), got'):
        encoder.point_features(points)


def test_without_the_extra_a_folder_loads(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    loaded = PointTokenBackbone.from_pretrained(exported[0])
    for use in (PointTokenBackbone.from_pretrained, loaded.push_to_hub):
        with pytest.raises(UserError, match=r"install -e '.\[hub\]'"):
            use('me/encoder')
