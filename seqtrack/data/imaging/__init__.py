"""Encoded frames to pixels, and the squares that are cut out of them."""
