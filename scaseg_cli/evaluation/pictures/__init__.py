"""Pictures of what a run segments: rows of images, labels and predictions, and which regions are wrong."""
