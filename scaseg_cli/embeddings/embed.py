"""The stage that encodes all class names with a text encoder and tabulates their similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scaseg_cli.embeddings.encode import Naming, encode_classes
from scaseg_cli.embeddings.encoders import load_encoder, prompt_templates, vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, save_embeddings
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import recording, require

if TYPE_CHECKING:
    from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

_COLUMNS = [
    Column("model", "Encoder"),
    Column("checkpoint", "Checkpoint"),
    Column("num_templates", "Templates", "count"),
    Column("num_classes", "Classes", "count"),
    Column("num_unseen", "Unseen", "count"),
    Column("dim", "Width", "count"),
    Column("cosine_seen", "Cosine of two seen", "number"),
    Column("cosine_unseen", "Cosine of unseen and seen", "number"),
]
_ROWS = 512  # classes that are compared with all others at a time
_NEAREST = [
    Column("unseen", "Unseen class"),
    Column("nearest", "Nearest seen class"),
    Column("cosine", "Cosine", "number"),
]


def embed_classes(recipe: Recipe, run: RunDir) -> StageReport:
    """Encode the names of all classes and write the embeddings.

    The inductive setting encodes the unseen names too, but its training reads only the seen rows.

    Raises:
        ScasegError: the data has not been split, templates or the encoder cannot be read, or two names give equal
            prompts.
    """
    require(recipe, run, "split")
    classes, templates = read_classes(run), prompt_templates(recipe)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    encoder = load_encoder(recipe)  # before the record of an earlier result is removed
    with recording(recipe, run, "embeddings", run.embeddings_file) as summary:
        naming = Naming(recipe.data.names, recipe.embeddings.names)
        found = encode_classes(encoder, classes.names, templates, recipe.embeddings.batch_size, naming)
        kept = found if found.several and recipe.embeddings.synonyms == "max" else None
        source = vector_source(recipe)
        embeddings = ClassEmbeddings(classes.names, found.means(), encoder.fingerprint, source, templates, kept)
        save_embeddings(run.embeddings_file, embeddings)
        tables = _tables(embeddings, classes.num_seen)
        tables[0].notes.extend(_notes(found, recipe.embeddings.synonyms))
        summary.update({**tables[0].rows[0], "clip_fingerprint": encoder.fingerprint})
    return StageReport("embeddings", tables, [run.embeddings_file], "scaseg train-base", dict(summary))


def _tables(embeddings: ClassEmbeddings, num_seen: int) -> list[Table]:
    vectors_NC = embeddings.vectors_NC.double()
    seen_SC, unseen_UC = vectors_NC[:num_seen], vectors_NC[num_seen:]
    num_pairs = len(unseen_UC) * len(seen_SC)
    row = {
        "model": embeddings.source.model,
        "checkpoint": embeddings.source.checkpoint,
        "num_templates": len(embeddings.templates),
        "num_classes": len(vectors_NC),
        "num_unseen": len(unseen_UC),
        "dim": vectors_NC.shape[1],
        "cosine_seen": _mean_of_pairs(seen_SC),
        "cosine_unseen": _sum_of_cosines(unseen_UC, seen_SC) / num_pairs if num_pairs else float("nan"),
    }
    closest = [(part_UC @ seen_SC.T).max(dim=1) for part_UC in unseen_UC.split(_ROWS)]
    pairs = [pair for part in closest for pair in zip(part.values.tolist(), part.indices.tolist(), strict=True)]
    rows = [
        {"unseen": embeddings.names[num_seen + i], "nearest": embeddings.names[k], "cosine": cosine}
        for i, (cosine, k) in enumerate(pairs)
    ]
    return [Table("Class embeddings", _COLUMNS, [row]), Table("Nearest seen class by text", _NEAREST, rows)]


def _notes(found: SynonymVectors, synonyms: str) -> list[str]:
    if not found.several:
        return []
    several = sum(count > 1 for count in found.counts)
    how = {
        "mean": "a class's vector is the mean of its names'",
        "max": "a class's logit is that of its best name; the generator takes the mean of the names",
    }
    return [f"Classes with several names: {several}, with {len(found.vectors_MC)} names in all; {how[synonyms]}."]


def _mean_of_pairs(units_SC: Tensor) -> float:
    """Mean cosine over pairs of different rows; NaN for a single row."""
    num = len(units_SC)
    return (_sum_of_cosines(units_SC, units_SC) - num) / (num * (num - 1)) if num > 1 else float("nan")


def _sum_of_cosines(one_NC: Tensor, other_SC: Tensor) -> float:
    """Sum over all pairs of rows; some rows at a time, so that memory does not grow with the square of the classes."""
    return sum(float((part_NC @ other_SC.T).sum()) for part_NC in one_NC.split(_ROWS))
