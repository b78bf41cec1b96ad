# + balanced re-weighting of the distillation, after teacher_knn_balance.py.
_base_ = ['./table3_distill_mtp.py']

teacher = 'work_dirs/teacher_knn_balance/epoch_120.pth'
model = dict(target_generator=dict(checkpoint=teacher))
