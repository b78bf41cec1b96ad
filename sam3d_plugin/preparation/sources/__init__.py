"""Readers of data sets and scans, each of which becomes a store."""
