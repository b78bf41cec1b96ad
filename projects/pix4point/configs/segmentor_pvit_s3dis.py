# Blocks of 1 m and schedule of configs/sam3d/segmentor_s3dis.py; optimizer as
# published.
_base_ = [
    './segmentor_pvit.py',
    '../../../configs/_base_/datasets/s3dis_seg.py',
    '../../../configs/_base_/default_runtime.py',
    '../../../configs/_base_/schedules/segmentor_s3dis.py',
]

model = dict(
    decode_head=dict(num_classes=13, ignore_index=13),
    test_cfg=dict(
        mode='slide',
        num_points=2048,
        block_size=1.0,
        sample_rate=0.5,
        use_normalized_coord=False,
        batch_size=24))
optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=1e-4))
custom_imports = dict(
    imports=['sam3d_plugin', 'projects.pix4point'], allow_failed_imports=False)
