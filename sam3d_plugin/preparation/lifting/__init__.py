"""From regions of images to regions of points."""
