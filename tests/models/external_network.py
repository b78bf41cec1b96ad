"""A network that follows Pointcept's interface, as a user would bring it."""
import torch
from addict import Dict
from torch import nn


class Point(Dict):
    """Batched points with attributes, as in Pointcept."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if 'batch' not in self and 'offset' in self:
            counts = torch.diff(self.offset, prepend=self.offset[:1] * 0)
            self['batch'] = torch.arange(len(
                self.offset)).repeat_interleave(counts)


class Pooling(nn.Module):
    """Mean of the features of cells twice as large."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.proj = nn.Linear(in_channels, out_channels)

    def forward(self, point):
        cells = torch.cat([point.batch[:, None], point.grid_coord // 2], 1)
        cells, cluster = cells.unique(dim=0, return_inverse=True)
        counts = cluster.bincount()[:, None]
        feat = point.feat.new_zeros(len(cells), point.feat.shape[1])
        feat = self.proj(feat.index_add(0, cluster, point.feat) / counts)
        return Point(
            feat=feat.relu(),
            grid_coord=cells[:, 1:],
            batch=cells[:, 0],
            pooling_inverse=cluster,
            pooling_parent=point)


class Encoder(nn.Module):
    """A stem and two poolings; ``enc_mode`` ends at the coarsest level."""

    def __init__(self, in_channels=9, channels=(4, 6, 8), enc_mode=True):
        super().__init__()
        self.stem = nn.Linear(in_channels, channels[0])
        self.norm = nn.BatchNorm1d(channels[0])
        self.enc = nn.Sequential(*(Pooling(*pair)
                                   for pair in zip(channels, channels[1:])))
        self.enc_mode = enc_mode

    def forward(self, data_dict):
        point = Point({k: data_dict[k] for k in data_dict if k != 'batch'})
        assert point.grid_coord.min() >= 0 and 'grid_size' in point
        point.feat = self.norm(self.stem(point.feat))
        point = self.enc(point)
        return point if self.enc_mode else point.feat


class Inputs(nn.Module):
    """Gives back what it gets, in the way of ``answer``."""

    def __init__(self, answer='feat'):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer

    def forward(self, data_dict):
        feat = data_dict['feat'] * self.weight
        return dict(
            feat=feat, dict=Point(feat=feat), short=feat[1:],
            text='feat')[self.answer]
