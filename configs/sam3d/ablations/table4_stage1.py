# Stage 1 alone.
_base_ = ['../stage1_scannet.py']
