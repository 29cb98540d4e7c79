"""Query embeddings: one pass of the frozen segmentor writes what stages 2 and 3 train from."""
