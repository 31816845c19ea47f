"""Running a trained model on video."""
