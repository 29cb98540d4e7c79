"""The direction of effects compared with the published one: each row against the paper's own, by harmonic mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.published import LABEL, label_of
from scaseg_cli.comparison.spread import mean_of, spread_of
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from scaseg_cli.ablations.figures import Figures
    from scaseg_cli.tasks import Setting

_EQUAL = 0.0005  # half of the last digit shown (0.1 %); a smaller difference counts as none


@dataclass(frozen=True)
class Effect:
    """The effect of one row against another.

    Attributes:
        setting: the setting of both rows.
        row, against: the rows' labels.
        published: published difference of ``row`` to ``against``, as a fraction; None if only the direction is known.
        is_higher: whether ``row`` is expected to be higher.
        ours: our difference for each seed, as fractions.
    """

    setting: Setting
    row: str
    against: str
    published: float | None
    is_higher: bool
    ours: list[float]

    @property
    def verdict(self) -> str:
        """``agrees`` or ``opposite`` if all seeds have one direction; otherwise the reason why there is no verdict."""
        if not self.ours:
            return "not known"
        signs = {_sign(difference) for difference in self.ours}
        if signs == {0}:
            return "no difference"
        if len(signs) > 1:
            return "seeds differ"
        return "agrees" if (1 in signs) == self.is_higher else "opposite"


def _sign(difference: float) -> int:
    """The sign of a difference; 0 if the table would show none."""
    return 0 if abs(difference) < _EQUAL else 1 if difference > 0 else -1


def effects_of(figures: Figures) -> list[Effect]:
    """Return the effects that were published or that the sweep claims, with ours.

    Equal published figures have no direction, so they are left out.
    """
    published = figures.ablation.published
    labels = [row.label for row in figures.ablation.rows]
    effects = []
    for setting in figures.ablation.settings:
        for label in labels if published is not None else []:
            assert published is not None
            one, two = (published.figure(name, setting, "harmonic") for name in (label, published.default))
            if published.default not in labels or one is None or two is None or not _sign(one - two):
                continue
            ours = figures.difference(label, published.default, setting)
            effects.append(Effect(setting, label, published.default, one - two, one > two, ours))
    for claim in figures.ablation.sweep.claims:
        row, against = label_of(claim.row), label_of(claim.against)
        if claim.setting in figures.ablation.settings and {row, against} <= set(labels):
            ours = figures.difference(row, against, claim.setting)
            effects.append(Effect(claim.setting, row, against, None, claim.is_ == "higher", ours))
    return effects


def effects_table(figures: Figures) -> Table | None:
    """Create the table of effects, with their counts below; None if no direction is published or claimed."""
    effects = effects_of(figures)
    if not effects:
        return None
    title = figures.title("harmonic")
    columns = [
        Column("setting", "setting"),
        Column("effect", "effect"),
        Column("published", LABEL, "points"),
        Column("ours", "ours", "points", spread="ours_spread"),
        Column("seeds", "seeds agreeing"),
        Column("verdict", "direction"),
    ]
    counts = dict.fromkeys(("agrees", "opposite", "seeds differ", "no difference", "not known"), 0)
    rows: list[dict[str, Any]] = []
    for effect in effects:
        counts[effect.verdict] += 1
        rows.append({"effect": f"{effect.row} against {effect.against}", **_row(effect)})
    said = ", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count)
    note = f"Effects by direction: {said}."
    return Table(f"{figures.ablation.name}: effects on {title}, in points of {title}", columns, rows, [note])


def _row(effect: Effect) -> dict[str, Any]:
    alike = sum(_sign(difference) == (1 if effect.is_higher else -1) for difference in effect.ours)
    return {
        "setting": effect.setting,
        "published": effect.published,
        "ours": mean_of(effect.ours),
        "ours_spread": spread_of(effect.ours),
        "seeds": f"{alike} of {len(effect.ours)}",
        "verdict": effect.verdict,
    }
