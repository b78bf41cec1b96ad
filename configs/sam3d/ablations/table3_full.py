# The complete method, after ../stage1_scannet.py.
_base_ = ['../stage2_scannet.py']
