"""Query embeddings: one pass of the frozen segmentor writes the training data of stages 2 and 3."""
