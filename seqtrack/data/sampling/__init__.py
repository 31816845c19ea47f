"""Which pairs training sees, and how they are cut and changed: pure functions of (seed, step, sample)."""
