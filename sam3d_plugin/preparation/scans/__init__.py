"""Scans of points in ScanNet's prepared form."""
