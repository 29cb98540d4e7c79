"""Encodes class names to semantic embeddings: prompts through a text encoder, one unit vector per class."""

from scaseg_cli.embeddings.embed import embed_classes
from scaseg_cli.embeddings.store import ClassEmbeddings, check_encoder, load_embeddings

__all__ = ["ClassEmbeddings", "check_encoder", "embed_classes", "load_embeddings"]
