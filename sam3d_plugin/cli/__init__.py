"""Command-line code that the tools share."""
