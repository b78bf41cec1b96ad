"""Scans of points in ScanNet's prepared form."""

# How a scan may name its axis that points up.
UP_AXES = ('z', '-z', 'y', '-y', 'x', '-x')
