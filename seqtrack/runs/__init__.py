"""A run on disk: paths, attempts, event logs, atomic writes, fingerprints, environment, status."""
