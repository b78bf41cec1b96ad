# Distillation and masked token prediction on SAM tokens, without balancing,
# after teacher_sam_plain.py.
_base_ = ['../stage2_scannet.py']

teacher = 'work_dirs/teacher_sam_plain/epoch_120.pth'
model = dict(target_generator=dict(checkpoint=teacher))
