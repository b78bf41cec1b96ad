"""Small models and batches for the tests of methods on matched points."""
import torch

from tests.models.pretraining_cases import BACKBONE, KNN, build

NUM_PAIRS, CHANNELS = 40, 8
MODEL = dict(
    backbone=dict(BACKBONE, tokenizer=KNN),
    projector=dict(
        type='PointProjector',
        in_channels=32,
        hidden_channels=32,
        out_channels=CHANNELS))


def turned(points, angle):
    """Points (N, 3) about z."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([cos, -sin, sin, cos]).reshape(2, 2)
    return torch.cat([points[:, :2] @ turn.T, points[:, 2:]], 1)


def make_batch(num_scenes=2, num_points=200, seed=0):
    """Each view of a scene has the same points, turned and in its own order.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = dict(points=[], pairs=[], is_pair=[], places=[])
    for _ in range(num_scenes):
        xyz = torch.rand(num_points, 3, generator=generator) * 3
        orders = [
            torch.randperm(num_points, generator=generator) for _ in range(2)
        ]
        angles = torch.rand(2, generator=generator) * 6
        inputs['points'].append(
            torch.stack([
                turned(xyz[order], angle)
                for order, angle in zip(orders, angles)
            ]))
        chosen = torch.randperm(num_points, generator=generator)[:NUM_PAIRS]
        inputs['pairs'].append(
            torch.stack([order.argsort()[chosen] for order in orders], 1))
        inputs['is_pair'].append(torch.ones(NUM_PAIRS, dtype=torch.bool))
        inputs['places'].append(xyz[chosen])
    return dict(inputs=inputs, data_samples=None)


def prepared(model, batch):
    """Inputs of a batch as the model gets them."""
    return model.data_preprocessor(batch)['inputs']


def unit(*shape, seed=0):
    """Random features of length 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=generator), dim=-1)


def found_share(pairs):
    """Share of queries whose nearest key is their own, in each scene."""
    nearest = (pairs.queries @ pairs.keys.transpose(1, 2)).argmax(-1)
    is_own = nearest == torch.arange(nearest.shape[1])
    return float(is_own[pairs.is_pair].float().mean())


def overfit(model, batch, steps, rate=3e-3):
    """Train on one batch; the first and the last loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(
            **model.data_preprocessor(batch, True),
            mode='loss')['loss_contrast']
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


def build_pairs(kind, **options):
    return build(dict(MODEL, type=kind, **options))
