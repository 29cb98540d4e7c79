"""Folds of the seen classes: trainings from which some seen classes are held out, as if they were unseen."""
