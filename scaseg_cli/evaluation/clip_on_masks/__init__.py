"""CLIP's image tower on the masks: the geometric mean with a classifier, and the choice of its weights."""
