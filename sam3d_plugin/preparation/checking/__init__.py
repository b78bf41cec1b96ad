"""Cost of a step, verification of its files, and pictures of them."""
