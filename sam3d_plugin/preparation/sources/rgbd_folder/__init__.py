"""Recordings of an RGB-D camera with poses, in the ways people store them."""
