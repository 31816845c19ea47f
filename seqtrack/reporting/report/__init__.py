"""One or more runs as one HTML page that needs nothing else."""
