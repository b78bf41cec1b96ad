"""What full configs take over from papers and code, number by number.

What differs is in the README of each project; PViT and the methods on voxels
have tests of their own.
"""
import importlib
import inspect
import math
from pathlib import Path

import pytest

from projects.dpco.depth_unet import STRIDE
from sam3d_plugin.models.dense_heads.vdetr_layers import VertexPositionBias
from tests.test_ours_table import read, value_in_config

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {
    'pimae/pimae':
    dict(
        model={
            'mask_ratio': .6,
            'is_complementary': True,
            'image_encoder.transformer.embed_dims': 256,
            'image_encoder.transformer.depth': 3,
            'image_encoder.transformer.patch_size': 16,
            'image_encoder.transformer.mlp_ratio': 4,
            'joint_encoder.embed_dims': 256,
            'joint_encoder.depth': 3,
            'decoder.embed_dims': 192,
            'decoder.num_heads': 3,
            'decoder.joint_depth': 1,
            'decoder.depth': 2,
            'feature_head.num_points': 32,
        },
        LoadRGBDPoints=dict(num_points=20000),
        LoadFrameImage=dict(size=(256, 352))),
    'dpco/dpco':
    dict(
        model={
            'depth_network.widths': (64, 128, 256, 256),
            'depth_network.max_depth': 8,
            'projector.hidden_channels': 512,
            'projector.out_channels': 128,
            'projector.pool': 'max',
            'local_contrast.temperature': .07,
            'local_contrast.symmetric': True,
            'local_contrast.normalize': True,
            'global_contrast.temperature': .07,
            'queue_size': 32768,
            'momentum': .999,
        },
        LoadRGBDPoints=dict(num_points=20000),
        GlobalRotScaleTrans=dict(
            rot_range=[-1.0472, 1.0472], scale_ratio_range=[.7, 1.3]),
        DepthViews=dict(
            size=352,
            max_angle=20,
            crop=(.7, .9),
            erase=(.2, .4),
            drop=.2,
            distortion=.3,
            radius=.05,
            min_share=.4)),
    'clip2scene/clip2scene_text':
    dict(
        model={
            'own_labels_from': 10 / 30,
            'own_label_ratio': .5,
            'head.out_channels': 512,
        }),
    'seal/seal':
    dict(
        model={
            'projector.out_channels': 64,
            'contrast.temperature': .07,
            'contrast.normalize': False,
            'contrast.symmetric': False,
            'min_overlap': .5,
        }),
    'ppt/ppt_text':
    dict(
        model={
            'context_channels': 256,
            'head.out_channels': 512,
            'head.logit_scale': 100,
        }),
    # No code and no constants were published: these are those of the README.
    'four_d_contrast/four_d_contrast':
    dict(
        model={
            'num_views': 4,
            'contrast.temperature': .07,
            'contrast.symmetric': True,
            'temporal.depth': 2,
            'projector.out_channels': 32,
        },
        LoadRGBDPoints=dict(num_points=25000),
        PlaceMovingObject=dict(
            num_views=4,
            num_tracks=512,
            max_share=.2,
            min_share=.02,
            scale=(.4, 1.),
            step_length=(.1, .3),
            bend=.5,
            inside=.6,
            radius=.0375,
            cell=.1,
            object_cell=.03,
            num_tries=50)),
}


def steps_of(pipeline):
    """Where steps are in a pipeline, those inside others too, by type."""
    found = {}
    for i, step in enumerate(pipeline):
        found[step.type] = f'{i}'
        for name, place in steps_of(step.get('transforms', ())).items():
            found[name] = f'{i}.transforms.{place}'
    return found


@pytest.mark.parametrize('name', PUBLISHED)
def test_constants(name):
    project, config = name.split('/')
    importlib.import_module(f'projects.{project}')
    path = ROOT / f'projects/{project}/configs/{config}.py'
    places = steps_of(read(path).train_pipeline) \
        if 'train_pipeline' in read(path) else {}
    for part, expected in PUBLISHED[name].items():
        place = part if part == 'model' else f'train_pipeline.{places[part]}'
        for key, value in expected.items():
            found = value_in_config(path, f'{place}.{key}')
            assert found == value, f'{part}: {key}'


def test_an_image_of_pimae_has_352_patches():
    height, width = PUBLISHED['pimae/pimae']['LoadFrameImage']['size']
    assert (height // 16, width // 16) == (16, 22)


def test_the_map_of_dpco_has_44_cells_a_side():
    assert 352 // STRIDE == 44
    assert math.degrees(1.0472) == pytest.approx(60, abs=1e-3)


def test_steps_of_the_data_sets_of_ppt():
    """4 : 2 : 1 of Structured3D, ScanNet and S3DIS, of which two are here."""
    loader = read(ROOT / 'projects/ppt/configs/ppt.py').train_dataloader
    assert tuple(loader.dataset.domains) == ('scannet', 's3dis')
    assert tuple(loader.sampler.shares) == (2, 1)


def test_position_bias_of_vdetr():
    """Tables of 10 x 10 x 10 on [-4, 4], read by MLPs 3-128-heads."""
    arguments = inspect.signature(VertexPositionBias).parameters
    found = {name: arguments[name].default for name in arguments}
    assert (found['hidden_dims'], found['table_size'],
            found['limit']) == (128, 10, 4)
