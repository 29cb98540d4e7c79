"""The embedded world: images, panoptic labels and captions drawn from a seed, a small CLIP and a small backbone.

It lets every stage run on a CPU in minutes, without a download. Nothing is imported here: the classes (`world`) are
wanted where neither OpenCV nor torch is.
"""
