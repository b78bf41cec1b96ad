"""Regions of images and clouds."""
