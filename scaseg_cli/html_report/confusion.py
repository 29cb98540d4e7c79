"""The confusion of labelled segments: by class, and between seen and unseen classes.

Shapes: N classes of which S are seen and U unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scaseg_cli.results.table import Column, Table, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOTHING = "nothing"
_TOP = 3  # mistakes listed for each class
_SEEN_COLUMNS = 8  # columns of seen classes in the heat map


class Heat(NamedTuple):
    """The part of the matrix that the page shows: one row per unseen class, with fractions of its segments.

    Attributes:
        columns: names of the columns; the first ones are the unseen classes, in the order of the rows.
        rows: name, number of segments and fractions of each class; a fraction is None if there is no segment.
    """

    columns: list[str]
    rows: list[tuple[str, int, list[float | None]]]


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion matrix of one main row of the result table.

    Attributes:
        setting: inductive or transductive.
        names: names of the N classes.
        num_seen: S.
        votes: number of segments [N, N + 1] by labelled and predicted class; the last column is "nothing".
    """

    setting: str
    names: list[str]
    num_seen: int
    votes: NDArray[np.int64]

    def as_json_value(self) -> dict[str, Any]:
        """Return the whole matrix, and the tables made from it, for JSON."""
        tables = {"groups": self.groups().as_json_value(), "taken_for": self.taken_for().as_json_value()}
        return {"classes": self.names, "num_seen": self.num_seen, "votes": self.votes.tolist(), **tables}

    def groups(self) -> Table:
        """Create the table of seen and unseen classes: how many segments are right or confused with which group."""
        votes, split = self.votes, self.num_seen
        right = votes.diagonal()
        rows = []
        for name, part in (("seen", slice(None, split)), ("unseen", slice(split, None))):
            total, own = int(votes[part].sum()), int(right[part].sum())
            seen, unseen = int(votes[part, :split].sum()), int(votes[part, split:-1].sum())
            counts = {"right": own, "seen": seen, "unseen": unseen, NOTHING: int(votes[part, -1].sum())}
            counts[name] -= own
            fractions = {key: count / total if total else None for key, count in counts.items()}
            rows.append({"classes": name, "segments": total, **fractions})
        columns = [
            Column("classes", "Segments of"), Column("segments", "Segments", "count"),
            Column("right", "Right", "percent"), Column("seen", "Another seen", "percent"),
            Column("unseen", "Another unseen", "percent"), Column(NOTHING, "Nothing", "percent"),
        ]  # fmt: skip
        return Table(f"{self.setting}: predicted classes of segments", columns, rows)

    def taken_for(self) -> Table:
        """Create the table of unseen classes: the fraction of right segments, and the most frequent mistakes."""
        rows = []
        for class_id in range(self.num_seen, len(self.names)):
            counts = self.votes[class_id]
            total = int(counts.sum())
            right = int(counts[class_id])
            row = {"class": self.names[class_id], "segments": total, "right": right / total if total else None}
            rows.append({**row, "instead": self._instead(class_id, total)})
        columns = [
            Column("class", "Unseen class"), Column("segments", "Segments", "count"),
            Column("right", "Right", "percent"), Column("instead", "Mistaken for"),
        ]  # fmt: skip
        return Table(f"{self.setting}: what unseen classes are mistaken for", columns, rows)

    def _instead(self, class_id: int, total: int) -> str | None:
        """The most frequent mistakes with their percentages, as text."""
        counts = self.votes[class_id].copy()
        counts[class_id] = 0
        order = [place for place in np.argsort(-counts, kind="stable")[:_TOP] if counts[place]]
        words = [f"{self._name(place)} {shown(int(counts[place]) / total, 'percent')}\u00a0%" for place in order]
        return ", ".join(words) or None

    def _name(self, place: int) -> str:
        return self.names[place] if place < len(self.names) else NOTHING

    def heat(self) -> Heat:
        """Return the rows of the unseen classes, with columns only for the seen classes most often predicted."""
        votes_U = self.votes[self.num_seen :]
        seen = votes_U[:, : self.num_seen]
        order = np.argsort(-seen.sum(0), kind="stable")
        top = [place for place in order[:_SEEN_COLUMNS] if seen[:, place].any()]
        rest = seen.sum(1) - seen[:, top].sum(1)
        table = np.column_stack([votes_U[:, self.num_seen : -1], seen[:, top], rest, votes_U[:, -1]])
        columns = [*self.names[self.num_seen :], *(self.names[place] for place in top), "other seen", NOTHING]
        rows = []
        for name, counts in zip(self.names[self.num_seen :], table, strict=True):
            total = int(counts.sum())
            rows.append((name, total, [int(count) / total if total else None for count in counts]))
        return Heat(columns, rows)
