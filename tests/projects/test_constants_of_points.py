"""What methods take over from papers and released code, number by number.

Sizes that every method shares are compared with Point-MAE's elsewhere.
"""
import inspect

import pytest
from mmdet3d.registry import MODELS, TRANSFORMS

from projects.point_contrast import HardestContrastiveLoss
from projects.sonata.prototypes import sinkhorn
from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments.methods import pipeline_of, stage_configs
from sam3d_plugin.models.backbones import graph_conv_stack

GRAPH = (128, 256, 512, 512, 1024)
AUTOENCODER = {
    'backbone.encoder.hidden_dims': GRAPH,
    'backbone.encoder.num_neighbors': 4,
    'backbone.encoder.out_channels': 8192,
    'codebook.num_codes': 8192,
    'head.hidden_dims': (1024, 512),
    'head.loss': dict(type='ChamferLoss', norm='l1'),
    'temperatures': (1., .0625),
    'uniform_weight': .1
}
# By stage, of the full size.
FULL = dict(
    maskpoint={
        'mask_ratio': .75,
        'num_real': 256,
        'num_fake': 256,
        'decoder.num_heads': 4,
        'decoder.mlp_ratio': 4,
        'decoder.position_dims': 128,
        'head.hidden_channels': 64,
        'head.alpha': .25,
        'head.gamma': 2
    },
    point_bert_dvae={
        'decoder.hidden_dims': GRAPH,
        **AUTOENCODER
    },
    point_bert={
        'mask_ratios': (.25, .45),
        'scene_channels': 512,
        'queue_size': 16384,
        'momentum': .999,
        'temperature': .07
    },
    act_vae={
        'decoder.graph.hidden_dims': GRAPH,
        'decoder.image.num_prompts': 64,
        'decoder.image.position_dims': 128,
        'decoder.image.transformer.embed_dims': 768,
        'decoder.image.transformer.depth': 12,
        'decoder.image.transformer.num_heads': 12,
        'decoder.image.transformer.mlp_ratio': 4,
        **AUTOENCODER
    },
    act={
        'mask_ratio': .8,
        'decoder.transformer.depth': 2,
        'head.loss': dict(type='CosineLoss')
    },
    bridge3d={
        'mask_ratio': .75,
        'drop_ratio': .7,
        'decoder.transformer.depth': 2,
        'as_released': False
    },
    jepa={
        'block_ratios': (.15, .2),
        'num_blocks': 4,
        'momentum': (.996, 1),
        'head.loss.loss':
        dict(type='mmdet.SmoothL1Loss', beta=2, reduction='none')
    },
    point_contrast={
        'pair_loss.temperature': .4,
        'min_distance': 0,
        'projector.out_channels': 32
    },
    csc={
        'pair_loss.temperature': .4,
        'pair_loss.radii': (.05, .5),
        'pair_loss.by_height': True,
        'projector.out_channels': 32
    },
    depth_contrast={
        'contrast.temperature': .1,
        'queue_size': 16384,
        'momentum': .999,
        'projector.out_channels': 128,
        'projector.pool': 'max'
    },
    sonata={
        'num_local': 2,
        'local_ratios': (.1, .4),
        'mask_sizes': (.1, .4),
        'mask_ratios': (.3, .7),
        'match_radius': .2,
        'teacher_temperatures': (.04, .07),
        'temperature': .1,
        'warm_up': .05,
        'momentum': .994,
        'weights': (2 / 8, 2 / 8, 4 / 8),
        'head.hidden_channels': 4096,
        'head.out_channels': 256,
        'head.num_prototypes': 1024
    })
SMALL_GRAPH = (64, 64, 128, 128, 256)
SMALL_AUTOENCODER = {
    'backbone.encoder.hidden_dims': SMALL_GRAPH,
    'backbone.encoder.out_channels': 64,
    'codebook.num_codes': 64,
    'head.hidden_dims': (256, 128)
}
# What alone differs in the mini size.
MINI = dict(
    maskpoint=dict(num_real=64, num_fake=64),
    point_bert_dvae={
        'decoder.hidden_dims': SMALL_GRAPH,
        **SMALL_AUTOENCODER
    },
    point_bert=dict(queue_size=128, momentum=.99),
    act_vae={
        'decoder.graph.hidden_dims': SMALL_GRAPH,
        'decoder.image.num_prompts': 8,
        'decoder.image.transformer.embed_dims': 64,
        'decoder.image.transformer.depth': 2,
        'decoder.image.transformer.num_heads': 4,
        **SMALL_AUTOENCODER
    },
    depth_contrast=dict(queue_size=128, momentum=.99),
    sonata={
        'mask_sizes': (.2, .8),
        'match_radius': .4,
        'head.hidden_channels': 256,
        'head.num_prototypes': 64
    })


def defaults(function):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }


def find(config, name):
    """A setting, or what the class takes where the config is silent."""
    for part in name.split('.'):
        config = {**defaults(MODELS.get(config['type'])), **config}[part]
    return tuple(config) if isinstance(config, list) else config


@pytest.mark.parametrize('size', ['full', 'mini'])
@pytest.mark.parametrize('stage', FULL)
def test_constants(stage, size):
    cfg = read_config(stage_configs(size)[stage], {})
    expected = dict(FULL[stage])
    if size == 'mini':
        expected.update(MINI.get(stage, {}))
    assert {name: find(cfg.model, name) for name in expected} == expected


def steps_of(stage, size='full'):
    """Steps of the training by type, with what their classes take."""
    cfg = read_config(stage_configs(size)[stage], {})
    return {
        step.type: {
            **defaults(TRANSFORMS.get(step.type)),
            **step
        }
        for step in all_steps(pipeline_of(cfg.train_dataloader))
    }


@pytest.mark.parametrize('size, min_points', [('full', 10000), ('mini', 2048)])
def test_views_of_depth_contrast(size, min_points):
    steps = steps_of('depth_contrast', size)
    crop = steps['RandomCuboid']
    assert [
        crop[name] for name in ('min_points', 'min_crop', 'max_crop', 'aspect',
                                'num_tries')
    ] == [min_points, .5, 1, .75, 100]
    assert steps['DropCuboid']['size'] == .2
    counts = [
        step[0].num_points for step in steps['RandomChoice']['transforms']
    ]
    most = steps['PointSample']['num_points']
    assert counts == [most // 4, most // 2, most * 3 // 4, most]


@pytest.mark.parametrize('stage, num_pairs', [('point_contrast', 128),
                                              ('csc', 512)])
def test_pairs(stage, num_pairs):
    """32 times 128 are the 4,096 of the batch; 1.5 voxels of 2.5 cm."""
    found = steps_of(stage)['FindCorrespondences']
    assert [
        found[name] for name in ('num_pairs', 'radius', 'min_pairs', 'cell')
    ] == [num_pairs, .0375, 32, .1]
    assert steps_of(stage, 'mini')['FindCorrespondences'] == dict(
        found, num_pairs=128)


def test_views_of_sonata():
    """40 % of the points at least, and a jitter of 5 mm."""
    for size in ('full', 'mini'):
        steps = steps_of('sonata', size)
        loaded = steps['LoadRGBDPoints']['num_points']
        assert steps['RandomCuboid']['min_points'] == .4 * loaded
        assert steps['RandomJitterPoints']['jitter_std'] == [.005] * 3


def test_constants_of_functions_and_layers():
    assert defaults(sinkhorn)['num_iterations'] == 3
    margins = defaults(HardestContrastiveLoss)
    assert (margins['positive_margin'], margins['negative_margin']) == (.1,
                                                                        1.4)
    assert (graph_conv_stack.GROUPS, graph_conv_stack.SLOPE) == (4, .2)
    head = MODELS.build(dict(type='FoldingHead', num_neighbors=8))
    assert head.grid.abs().unique().tolist() == pytest.approx([.05])
    assert len(head.grid) == 4
