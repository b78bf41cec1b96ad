# Stage 1 of table3_distill_mtp_sam.py.
_base_ = ['../stage1_scannet.py']

model = dict(head=dict(loss=dict(_delete_=True, type='DistillLoss')))
train_dataloader = dict(dataset=dict(data_prefix=dict(region_groups='')))
