"""Generators and classifiers of other works on one frozen base model: same masks, same images, same choices."""
