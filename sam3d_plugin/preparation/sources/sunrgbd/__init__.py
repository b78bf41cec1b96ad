"""SUN RGB-D, from the release or from the output of its MATLAB scripts."""
