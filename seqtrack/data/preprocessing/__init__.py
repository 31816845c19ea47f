"""Smaller versions of a data set, made once."""
