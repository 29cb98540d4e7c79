"""Stage 1: Mask2Former with the class projector, the cosine classifier and the V2C alignment."""
