"""Small models and frames for the tests of methods on two views."""
import copy

import torch
from mmdet3d.structures import Det3DDataSample

import projects.depth_contrast
import projects.sonata  # noqa: F401 (registers)
from tests.models import pretraining_cases as cases
from tests.models.pretraining_cases import BACKBONE, KNN

KEYS = 16
VIEWS_BACKBONE = dict(BACKBONE, tokenizer=KNN)
DEPTH_CONTRAST = dict(
    type='DepthContrast',
    backbone=VIEWS_BACKBONE,
    projector=dict(
        type='GlobalProjector',
        in_channels=32,
        hidden_channels=32,
        out_channels=16,
        pool='max'),
    contrast=dict(type='InfoNCELoss', temperature=0.1),
    queue_size=KEYS,
    momentum=0.9)
SONATA = dict(
    type='Sonata',
    backbone=VIEWS_BACKBONE,
    head=dict(
        type='PrototypeHead',
        in_channels=32,
        hidden_channels=32,
        out_channels=16,
        num_prototypes=16),
    match_radius=0.5,
    momentum=0.9)
CONFIGS = dict(depth_contrast=DEPTH_CONTRAST, sonata=SONATA)


def build(config, **changes):
    """A model with its start weights."""
    model = cases.build(config, **changes)
    model._dump_init_info = lambda: None  # hundreds of lines in the log
    model.init_weights()
    return model


def build_exact(config):
    """A model whose frames do not mix, and that drops nothing."""
    config = copy.deepcopy(config)
    config['backbone']['encoder']['drop_path'] = 0.
    return cases.without_norm_statistics(build(config))


def make_view(number, view, num_points=160):
    """Points of a frame, turned a little, and where they were.

    A frame is six blobs, whose places follow from its number.
    """
    layout = torch.Generator().manual_seed(number)
    centers = torch.rand(6, 3, generator=layout) * torch.tensor([4., 4, 2])
    draw = torch.Generator().manual_seed(1000 * number + view + 1)
    blob = torch.randint(6, (num_points, ), generator=draw)
    origin = centers[blob] + .4 * torch.rand(num_points, 3, generator=draw)
    angle = .5 * torch.rand((), generator=draw)
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0],
                         [angle.sin(), angle.cos(), 0], [0, 0, 1]])
    return torch.cat([origin @ turn.T, origin], dim=1)


def make_batch(numbers, draw=0):
    """What the loader hands to a model: frames of two views."""
    points = [
        torch.stack([make_view(n, 2 * draw),
                     make_view(n, 2 * draw + 1)]) for n in numbers
    ]
    columns = dict(point_columns=dict(origin=[3, 4, 5]))
    samples = [Det3DDataSample(metainfo=columns) for _ in numbers]
    return dict(inputs=dict(points=points), data_samples=samples)
