"""SUN RGB-D, from the release or from what the MATLAB scripts made of it."""
