"""The class of each pixel of a semantic prediction, for one classifier or for many at once."""
