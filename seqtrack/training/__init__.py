"""The train loop, tasks, optimisers and schedules, checkpoints."""
