"""Features of regions, and groups of them."""
