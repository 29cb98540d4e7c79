"""The file of class embeddings, which records the classes, prompts and encoder that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import torch
from msgspec import Meta

from scaseg_cli.checkpoints import load_tensors, save_tensors, shown
from scaseg_cli.embeddings.encoders import VectorSource, vector_source
from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import of_kind
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from scaseg_cli.embeddings.encoders import TextEncoder
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

KIND = "class embeddings"
_NAMES = "name_vectors"  # the tensor of all names
_TOLERANCE = 1e-3  # of a unit vector's length
REMEDY = "Run `scaseg embed-classes` with this recipe (`scaseg run` does all in order)."


class _SourceHeader(TypedDict):
    model: str
    checkpoint: str | None


class _Header(TypedDict):
    """The header of the file, as `save_embeddings` writes it."""

    names: list[str]
    fingerprint: str
    clip: _SourceHeader  # of any encoder
    templates: list[str]
    names_per_class: NotRequired[list[Annotated[int, Meta(ge=1)]]]


@dataclass(frozen=True)
class ClassEmbeddings:
    """Semantic embeddings of all N classes.

    Attributes:
        names: class names by class_id.
        vectors_NC: one unit vector per class, float32 [N, C].
        fingerprint: the fingerprint of the encoder that made them.
        source: the encoder, as the recipe names it.
        templates: the prompt templates.
        synonyms: the vectors of all names, if ``embeddings.synonyms`` is ``max`` and a class has several; else None.
    """

    names: list[str]
    vectors_NC: Tensor
    fingerprint: str
    source: VectorSource
    templates: tuple[str, ...]
    synonyms: SynonymVectors | None = None

    def first(self, number: int) -> tuple[Tensor, SynonymVectors | None]:
        """Return the embeddings of the first classes, such as the seen ones, and the vectors of their names."""
        return self.vectors_NC[:number], self.synonyms.of(range(number)) if self.synonyms is not None else None

    def nearest_seen(self, num_seen: int) -> list[int]:
        """Return the nearest seen class of each unseen one, in their order, by the cosine of their vectors."""
        unseen_UC, seen_SC = self.vectors_NC[num_seen:], self.vectors_NC[:num_seen]
        return (unseen_UC @ seen_SC.T).argmax(dim=1).tolist()


def save_embeddings(path: Path, embeddings: ClassEmbeddings) -> None:
    """Write ``embeddings`` to ``path`` atomically."""
    meta: dict[str, Any] = {
        "names": embeddings.names,
        "fingerprint": embeddings.fingerprint,
        "clip": embeddings.source._asdict(),
        "templates": list(embeddings.templates),
    }
    tensors = {"vectors": embeddings.vectors_NC}
    if embeddings.synonyms is not None:
        tensors[_NAMES] = embeddings.synonyms.vectors_MC
        meta["names_per_class"] = list(embeddings.synonyms.counts)
    save_tensors(path, KIND, tensors, meta)


def load_embeddings(recipe: Recipe, run: RunDir) -> ClassEmbeddings:
    """Load the run folder's class embeddings, in the order of its class list.

    Raises:
        ScasegError: they are missing, damaged, made for other classes or by another encoder than the recipe's; names
            the command to run.
    """
    path = run.embeddings_file
    tensors, header = load_tensors(path, KIND, REMEDY)
    if set(tensors) not in ({"vectors"}, {"vectors", _NAMES}):
        raise ScasegError(f"{path} has the tensors {', '.join(shown(name) for name in sorted(tensors))}", REMEDY)
    meta = of_kind(header, _Header, f"the header of {path}", REMEDY)
    _check_names(path, meta["names"], read_classes(run).names)
    source, wanted = VectorSource(**meta["clip"]), vector_source(recipe)
    if source != wanted:
        raise ScasegError(f"{path} was made by {_named(source)}, and the recipe has {_named(wanted)}", REMEDY)
    counts = meta.get("names_per_class", [])
    _check_vectors(path, "vectors", tensors["vectors"], len(meta["names"]))
    synonyms = None
    if _NAMES in tensors:
        if len(counts) != len(meta["names"]):
            raise ScasegError(f"the header of {path} does not count the names of every class", REMEDY)
        _check_vectors(path, _NAMES, tensors[_NAMES], sum(counts))
        synonyms = SynonymVectors(tensors[_NAMES], tuple(counts))
    return ClassEmbeddings(
        meta["names"], tensors["vectors"], meta["fingerprint"], source, tuple(meta["templates"]), synonyms
    )


def check_encoder(embeddings: ClassEmbeddings, encoder: TextEncoder) -> None:
    """Check that ``encoder`` is what made ``embeddings``: V2C and new names need both in one space.

    Raises:
        ScasegError: the weights differ, for example because a weight file was replaced.
    """
    if embeddings.fingerprint != encoder.fingerprint:
        raise ScasegError(
            f"the class embeddings were made by other weights ({embeddings.fingerprint[:12]}) than those of "
            f"{encoder.name} now ({encoder.fingerprint[:12]})",
            REMEDY,
        )


def _check_vectors(path: Path, name: str, vectors: Tensor, number: int) -> None:
    """Check that a tensor has ``number`` unit vectors of float32."""
    if vectors.dtype != torch.float32 or vectors.ndim != 2 or len(vectors) != number or not vectors.shape[1]:
        found = f"{str(vectors.dtype).removeprefix('torch.')} {list(vectors.shape)}"
        raise ScasegError(f"{path} has {name} of {found}, not {number} vectors of float32", REMEDY)
    if bool(((vectors.norm(dim=1) - 1).abs() > _TOLERANCE).any()):
        raise ScasegError(f"{path} has {name} that are not of length 1", REMEDY)


def _check_names(path: Path, found: list[str], wanted: list[str]) -> None:
    if found == wanted:
        return
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    what = [f"lacks {missing[0]!r:.80}"] if missing else []
    what += [f"has {extra[0]!r:.80}, which the split lacks"] if extra else []
    raise ScasegError(f"{path} does not match the split: it {' and '.join(what) or 'has another order'}", REMEDY)


def _named(source: VectorSource) -> str:
    return f"{shown(source.model)} with {shown(source.checkpoint or 'random weights')}"
