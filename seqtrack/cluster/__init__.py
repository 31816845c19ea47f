"""Carrying a run out: the local scheduler."""
