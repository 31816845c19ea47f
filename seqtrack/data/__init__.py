"""From bytes on disk to training pairs: geometry, layouts, index, storage, staging, samplers, crops. No torch."""
