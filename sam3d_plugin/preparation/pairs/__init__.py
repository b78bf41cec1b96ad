"""Frames of a scan that see the same place."""
