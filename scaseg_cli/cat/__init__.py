"""Stage 2, CAT: a generator of visual embeddings from semantic ones, trained on the frozen segmentor's queries."""
