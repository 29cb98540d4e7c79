"""The embedded world: images, panoptic labels and captions drawn from a seed, a small CLIP and a small backbone.

It lets every stage run on a CPU in minutes, without a download. This module imports nothing, so that `world` (the
classes) is usable without loading OpenCV or torch.
"""
