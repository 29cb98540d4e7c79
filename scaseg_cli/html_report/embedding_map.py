"""A map of real and generated query embeddings, and their distances, which a map does not preserve.

Shapes: R real and P generated embeddings, K of them on the map, D visual width, S seen and N all classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.results.table import Column, Table

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
AT_MOST = 1500  # embeddings on the map
_FOR_UNSEEN = 1000  # of these, embeddings of unseen classes
_A_CLASS = 60
_PERPLEXITY = 30.0
_LEAST = 10  # embeddings needed for a map


class Chosen(NamedTuple):
    """The embeddings on the map: indices into the real and into the generated ones."""

    real: Ints
    generated: Ints

    def __len__(self) -> int:
        return self.real.size + self.generated.size


def choose(real_ids_R: Ints, generated_ids_P: Ints, num_seen: int) -> Chosen:
    """Choose the first embeddings of each class: as many real as generated unseen ones, then seen ones to fill up."""
    unseen = np.union1d(real_ids_R[real_ids_R >= num_seen], generated_ids_P)
    each = min(_A_CLASS, _FOR_UNSEEN // max(1, 2 * len(unseen)))
    generated = _first(generated_ids_P, dict.fromkeys(unseen.tolist(), each))
    of_unseen = _first(real_ids_R, dict.fromkeys(unseen.tolist(), each))
    seen = np.unique(real_ids_R[real_ids_R < num_seen]).tolist()
    left = (AT_MOST - len(generated) - len(of_unseen)) // max(1, len(seen))
    of_seen = _first(real_ids_R, {class_id: min(_A_CLASS, left) for class_id in seen})
    return Chosen(np.concatenate([of_seen, of_unseen]), generated)


def _first(ids: Ints, wanted: dict[int, int]) -> Ints:
    """Indices of the first ``wanted`` embeddings of each class."""
    places = [np.flatnonzero(ids == class_id)[:number] for class_id, number in wanted.items()]
    return np.concatenate(places) if places else np.zeros(0, np.int64)


def laid_out(*parts: Floats) -> NDArray[np.float32]:
    """Return t-SNE coordinates [K, 2] of all embeddings in ``parts``, each [n, D]; deterministic."""
    points_KD = np.concatenate(parts).astype(np.float64)
    if len(points_KD) < _LEAST:
        return np.zeros((0, 2), np.float32)
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(points_KD) - 1) / 3)
    points_K2 = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(points_KD)
    return np.asarray(points_K2, np.float32)


def distance_table(
    real_RD: Floats, real_ids_R: Ints, generated_PD: Floats, generated_ids_P: Ints, names: list[str], num_seen: int
) -> Table:
    """Create the table of each unseen class: distance from generated to real embeddings, and the nearest seen class.

    All distances are Euclidean, between visual embeddings.
    """
    means = {class_id: real_RD[real_ids_R == class_id].mean(0) for class_id in np.unique(real_ids_R).tolist()}
    rows: list[dict[str, Any]] = []
    for class_id in range(num_seen, len(names)):
        real, made = real_RD[real_ids_R == class_id], generated_PD[generated_ids_P == class_id]
        row: dict[str, Any] = {"class": names[class_id], "real": len(real)}
        if len(real):
            row["spread"] = float(np.linalg.norm(real - means[class_id], axis=1).mean())
            row["real_seen"], row["real_seen_distance"] = _nearest_seen(means[class_id], means, names, num_seen)
        if len(made):
            row["made_seen"], row["made_seen_distance"] = _nearest_seen(made.mean(0), means, names, num_seen)
        if len(made) and len(real):
            row["made_distance"] = float(np.linalg.norm(made.mean(0) - means[class_id]))
            row["hits"] = _hits(made, class_id, means)
        rows.append(row)
    return Table("Distances between query embeddings", _columns(len(generated_PD) > 0), rows, _notes(generated_PD))


def _nearest_seen(point_D: Floats, means: dict[int, Floats], names: list[str], num_seen: int) -> tuple[Any, Any]:
    """The seen class with the nearest mean, and the distance to it."""
    distances = {i: float(np.linalg.norm(mean - point_D)) for i, mean in means.items() if i < num_seen}
    if not distances:
        return None, None
    nearest = min(distances, key=lambda class_id: distances[class_id])
    return names[nearest], distances[nearest]


def _hits(made_nD: Floats, class_id: int, means: dict[int, Floats]) -> float:
    """The fraction of embeddings that are nearer to their class's real mean than to any other class's."""
    centres_ND = np.stack(list(means.values()))
    distances_nN = np.linalg.norm(made_nD[:, None] - centres_ND, axis=2)
    return float((np.array(list(means))[distances_nN.argmin(1)] == class_id).mean())


def _columns(with_generated: bool) -> list[Column]:
    columns = [Column("class", "Unseen class"), Column("real", "Real", "count"), Column("spread", "Spread", "number")]
    if with_generated:
        columns += [
            Column("made_distance", "Generated to real", "number"),
            Column("hits", "Own mean nearest", "percent"),
            Column("made_seen_distance", "Generated to seen", "number"),
            Column("made_seen", "which is"),
        ]
    return [*columns, Column("real_seen_distance", "Real to seen", "number"), Column("real_seen", "which is")]


def _notes(generated_PD: Floats) -> list[str]:
    notes = [
        "Distances are Euclidean, in the space of the query embeddings. Spread: mean distance of the class's real "
        "embeddings from their mean. Real to seen: distance from that mean to the nearest mean of a seen class."
    ]
    if len(generated_PD):
        notes.append(
            "Generated to real, generated to seen: distance from the mean of the generated embeddings. Own mean "
            "nearest: percentage of generated embeddings that are nearer to their class's real mean than to any other."
        )
    return notes
