"""Checks of a model beside its evaluation: while it is trained, and when it finds nothing."""
