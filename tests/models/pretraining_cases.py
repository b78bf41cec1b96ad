"""Small models and frames for the tests of pre-training."""
import copy

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import InstanceData

import sam3d_plugin  # noqa: F401 (registers)

CHANNELS = 12
SAM = dict(type='SAMTokenizer', min_points=4, points_per_rest_token=32)
KNN = dict(type='KNNTokenizer', num_tokens=20, num_neighbors=9)
EMBEDDING = dict(
    type='PointPatchEmbed', embed_dims=32, hidden_dims=(8, 16, 32))
ENCODER = dict(
    type='PlainPointTransformer', embed_dims=32, depth=2, position_dims=16)
DECODER = dict(ENCODER, depth=1)
BODY = dict(tokenizer=SAM, embedding=EMBEDDING, encoder=ENCODER)
BACKBONE = dict(BODY, type='TokenEncoder')
STAGE1 = dict(
    backbone=BACKBONE,
    type='RegionDistillPretrainer',
    decoder=DECODER,
    head=dict(type='RegionDistillHead', in_channels=32, out_channels=CHANNELS),
    target_generator=dict(type='RegionFeatureTargets'))
MASKED_DECODER = dict(type='MaskedTokenDecoder', transformer=DECODER)
JOINT = dict(
    STAGE1, type='MaskedRegionDistillPretrainer', decoder=MASKED_DECODER)
STAGE2 = dict(
    backbone=BACKBONE,
    type='MaskedTokenPretrainer',
    decoder=MASKED_DECODER,
    head=dict(type='MaskedTokenHead'),
    global_head=dict(
        type='GlobalFeatureHead',
        in_channels=32,
        hidden_channels=16,
        out_channels=32),
    target_generator=dict(type='TeacherTokenTargets', checkpoint=''))

BALANCED_HEAD = dict(
    STAGE1['head'],
    loss=dict(type='GroupBalancedDistillLoss', counts=[5, 9, 2]))


def stage2(checkpoint, **changes):
    """Stage 2 with the teacher of a file."""
    return dict(
        STAGE2,
        target_generator=dict(
            type='TeacherTokenTargets', checkpoint=checkpoint),
        **changes)


def save_teacher(path):
    """Write a checkpoint of stage 1 whose tensors are all non-trivial."""
    model = build(STAGE1)
    losses_of(model)  # so that batch norm has statistics
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += .02 * torch.randn_like(parameter)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


def with_parts(config, **parts):
    """The config with other parts of its encoder."""
    return dict(config, backbone=dict(config['backbone'], **parts))


def build(config, **changes):
    """Build a pre-trainer; changes of encoder parts go to the backbone."""
    parts = {name: changes.pop(name) for name in BODY if name in changes}
    config = with_parts(config, **parts) if parts else config
    torch.manual_seed(0)
    return MODELS.build(copy.deepcopy({**config, **changes}))


def without_drop_path(config):
    """The config with drop path 0 in encoder and decoder."""
    config = copy.deepcopy(config)
    decoder = config['decoder']
    config['backbone']['encoder']['drop_path'] = 0.
    decoder.get('transformer', decoder)['drop_path'] = 0.
    return config


def without_norm_statistics(model):
    """Put batch norm into eval mode, so that frames do not mix."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    return model


def make_sample(num_regions, frame='00000', seed=0):
    """A data sample; its ids are in no order."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randperm(num_regions, generator=generator) + 1
    sample = Det3DDataSample(
        metainfo=dict(
            scan='scene0000_00', frame=frame, point_columns=dict(region=3)))
    sample.regions = InstanceData(
        ids=ids,
        features=torch.randn(num_regions, CHANNELS, generator=generator),
        group_ids=ids % 3)
    return sample


def make_frame(num_regions=6, num_points=200, seed=0):
    """Points with region ids 0..num_regions in clusters, and a sample."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(
        0, num_regions + 1, (num_points, ), generator=generator)
    centers = torch.rand(num_regions + 1, 3, generator=generator) * 4
    noise = torch.rand(num_points, 3, generator=generator) * 0.3
    points = torch.cat((centers[ids] + noise, ids[:, None].float()), dim=1)
    return points, make_sample(num_regions, f'{seed:05}', seed)


def make_batch(num_regions=(6, 11), num_points=200, seed=0):
    """What the data loader hands to the model."""
    frames = [
        make_frame(regions, num_points, seed + i)
        for i, regions in enumerate(num_regions)
    ]
    return dict(
        inputs=dict(points=[points for points, _ in frames]),
        data_samples=[sample for _, sample in frames])


def losses_of(model, batch=None):
    return model(
        **model.data_preprocessor(batch or make_batch(), True), mode='loss')


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)
