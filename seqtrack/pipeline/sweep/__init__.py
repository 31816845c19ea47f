"""Sweeps: many runs that differ in a few flags, asked for, carried out and tabulated together."""
