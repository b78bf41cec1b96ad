"""Small configs of both stages for tools/train.py."""
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / 'configs' / 'sam3d'
SMALL = """
_base_ = ['{config}']
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
custom_hooks = [dict(type='StopOnInvalidLossHook')]
model = dict(
    backbone=dict(
        embedding=dict(embed_dims=32, hidden_dims=(8, 16, 32)),
        encoder=dict(embed_dims=32, depth=1)),
    {parts})
train_dataloader = dict(batch_size=2, dataset=dict(ann_file=''))
train_cfg = dict(max_iters=3)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
"""
PARTS = dict(
    stage1='decoder=dict(embed_dims=32, depth=1), '
    'head=dict(in_channels=32, out_channels=3)',
    stage2='decoder=dict(transformer=dict(embed_dims=32, depth=1)), '
    'global_head=dict(in_channels=32, out_channels=32)')


def write_configs(folder):
    """Write stage1.py and stage2.py: three steps of two frames."""
    for stage, parts in PARTS.items():
        base = CONFIGS / f'{stage}_synthrooms_mini.py'
        Path(folder,
             f'{stage}.py').write_text(SMALL.format(config=base, parts=parts))


def arguments_of(stage, root, name, options=(), more=()):
    """The command line of a run whose logger has a name of its own."""
    return [
        f'{stage}.py', *more, '--cfg-options', f'data_root={root}',
        'train_dataloader.dataset.pipeline.0.num_points=300',
        f'experiment_name={name}', *options
    ]
