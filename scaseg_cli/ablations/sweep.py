"""The content of a sweep file: the recipe keys that an ablation varies, their values, and the settings reported."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scaseg_cli.ablations.published import label_of, published_tables
from scaseg_cli.recipe.fields import Section
from scaseg_cli.tasks import SETTINGS, Setting

# Keys that the command sets for all cells.
_NOT_VARIED = {"seed": "--seeds", "evaluation.setting": "settings"}


class SweepRow(Section):
    """A row with a label and the recipe keys that it sets."""

    label: Annotated[str, Field(min_length=1)]
    set: dict[str, Any] = Field(min_length=1, description="recipe keys and their values in this row")
    settings: list[Setting] | None = Field(None, min_length=1, description="null: the sweep's settings")


class Claim(Section):
    """The expected direction of an effect that is not published: one row against another, by harmonic mean."""

    row: Any = Field(description="a row's label or value")
    against: Any = Field(description="label or value of the row that it is compared with")
    setting: Setting
    is_: Literal["higher", "lower"] = Field(alias="is")


class Sweep(Section):
    """One ablation: either ``varies`` with ``values``, or ``rows``."""

    title: Annotated[str, Field(min_length=1)]
    varies: list[str] | None = Field(None, min_length=1, description="recipe keys")
    values: list[Any] | None = Field(
        None, min_length=1, description="values of one key; lists of values for several keys"
    )
    rows: list[SweepRow] | None = Field(None, min_length=1)
    settings: list[Setting] = Field(list(SETTINGS), min_length=1, description="settings in which figures are reported")
    published: str | None = Field(None, description="the published table, such as bank_size")
    claims: list[Claim] = Field([], description="effects and their expected direction")

    @property
    def keys(self) -> list[str]:
        """The recipe keys that vary."""
        if self.varies is not None:
            return self.varies
        return list(dict.fromkeys(key for row in self.rows or [] for key in row.set))

    @property
    def labels(self) -> list[str]:
        """The label of each row."""
        return [row.label for row in self.rows or []] + [label_of(value) for value in self.values or []]

    @model_validator(mode="after")
    def _is_sound(self) -> Sweep:
        found = [*self._shape_mistakes(), *self._name_mistakes()]
        if found:
            raise ValueError("; ".join(found))
        return self

    def _shape_mistakes(self) -> list[str]:
        if (self.values is None) != (self.varies is None) or (self.rows is None) == (self.values is None):
            return ["needs either varies and values, or rows"]
        number = len(self.varies or [])
        if number < 2:
            return []
        return [
            f"values: {value!r} is not a list of {number} values, one for each of {', '.join(self.varies or [])}"
            for value in self.values or []
            if not isinstance(value, list) or len(value) != number
        ]

    def _name_mistakes(self) -> list[str]:
        found = [f"{key} cannot be varied: use {place}" for key, place in _NOT_VARIED.items() if key in self.keys]
        found += [f"two rows are named {label!r}" for label, times in Counter(self.labels).items() if times > 1]
        if self.published is not None and self.published not in published_tables():
            near = difflib.get_close_matches(self.published, published_tables(), n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            found.append(f"published: there is no published table {self.published!r}{hint}")
        for claim in self.claims:
            named = [label_of(row) for row in (claim.row, claim.against)]
            found += [f"claims: there is no row {label!r}" for label in named if label not in self.labels]
        return found
