"""What turns texts into vectors: CLIP's text encoder, a sentence encoder, or a file of name vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from scaseg_cli.embeddings.prompts import SLOT, read_templates

if TYPE_CHECKING:
    from torch import Tensor

    from scaseg_cli.recipe.schema import Recipe


class TextEncoder(Protocol):
    """Encodes texts to unit vectors; `ClipModel`, `SentenceEncoder` and `VectorFile` are such encoders.

    Attributes:
        name: the encoder in messages.
        dim: the width C of its vectors.
    """

    name: str
    dim: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of what determines the vectors."""

    def encode_text(self, texts: list[str]) -> Tensor:
        """Encode ``texts`` to unit vectors, float32 [n, C]."""


class VectorSource(NamedTuple):
    """What made class embeddings, as the recipe names it.

    Attributes:
        model: CLIP's model, ``sentence:FOLDER``, or ``vectors``.
        checkpoint: CLIP's weights (None: random ones), or the file of vectors.
    """

    model: str
    checkpoint: str | None


def vector_source(recipe: Recipe) -> VectorSource:
    """What the recipe's class embeddings are made by."""
    if recipe.embeddings.vectors is not None:
        return VectorSource("vectors", recipe.embeddings.vectors)
    if recipe.embeddings.encoder != "clip":
        return VectorSource(recipe.embeddings.encoder, None)
    return VectorSource(recipe.clip.model, recipe.clip.checkpoint)


def load_encoder(recipe: Recipe) -> TextEncoder:
    """Load what the recipe names as the encoder of class names, on the CPU.

    Raises:
        ScasegError: its files are missing, damaged or of another kind, or it needs a package that is not installed.
    """
    if recipe.embeddings.vectors is not None:
        from scaseg_cli.embeddings.vector_file import read_vectors

        return read_vectors(recipe.embeddings.vectors)
    if recipe.embeddings.encoder != "clip":
        from scaseg_cli.embeddings.sentence_encoder import load_sentence_encoder

        return load_sentence_encoder(recipe.embeddings.encoder)
    from scaseg_cli.clip.load import load_clip

    return load_clip(recipe.clip)


def prompt_templates(recipe: Recipe) -> tuple[str, ...]:
    """The prompt templates; a file of vectors is asked for the names themselves.

    Raises:
        ScasegError: the recipe's templates cannot be read.
    """
    return (SLOT,) if recipe.embeddings.vectors is not None else read_templates(recipe.embeddings.templates)
