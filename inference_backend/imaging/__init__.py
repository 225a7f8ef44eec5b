"""Volumes with geometry, and the pictures that are made of them."""
