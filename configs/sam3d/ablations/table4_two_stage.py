# Two stages, after table4_stage1.py.
_base_ = ['../stage2_scannet.py']

teacher = 'work_dirs/table4_stage1/epoch_120.pth'
model = dict(target_generator=dict(checkpoint=teacher))
