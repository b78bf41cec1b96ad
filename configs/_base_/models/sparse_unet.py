# Res16UNet34C, the SR-UNet of PointContrast and CSC, and a quarter of its
# width for two CPU cores.
unet = dict(type='SparseVoxelUNet')
unet_mini = dict(
    type='SparseVoxelUNet',
    stem_channels=8,
    encoder_channels=(8, 16, 32, 64),
    decoder_channels=(64, 32, 24, 24))
