"""The chart of the map: seen classes in grey, each unseen class in its colour, generated embeddings as crosses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.html_report.charts import COLOURS, Chart
from scaseg_cli.html_report.svg import as_svg, chart_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from scaseg_cli.html_report.survey import Survey

_SIDE = 5.0  # inches
_REAL, _GENERATED = "osD^v", "x+1|_"  # markers; the next pair when the colours repeat
_SEEN = "#9A9A9A"


class Points(NamedTuple):
    """The map's embeddings: coordinates [K, 2], class ids [K], and whether each is generated [K]."""

    places_K2: NDArray[np.float32]
    class_ids_K: NDArray[np.int64]
    is_generated_K: NDArray[np.bool_]


def points_of(survey: Survey) -> Points:
    """Return the embeddings on the map of a survey."""
    chosen = survey.chosen
    ids = np.concatenate([survey.real_ids_R[chosen.real], survey.generated_ids_P[chosen.generated]])
    return Points(survey.map_K2, ids, np.arange(len(ids)) >= len(chosen.real))


def map_chart(survey: Survey, names: list[str]) -> Chart:
    """Draw the map, with the name of each unseen class above the median of its real embeddings."""
    points = points_of(survey)
    with chart_style():
        figure = new_figure(_SIDE, _SIDE)
        axes = figure.add_subplot()
        is_seen = points.class_ids_K < survey.num_seen
        seen_n2 = points.places_K2[is_seen]
        axes.scatter(seen_n2[:, 0], seen_n2[:, 1], s=7, color=_SEEN, alpha=0.55, linewidths=0)
        for place, class_id in enumerate(range(survey.num_seen, len(names))):
            _draw_class(axes, points, class_id, place)
        for place, class_id in enumerate(range(survey.num_seen, len(names))):
            _name_class(axes, points, class_id, names[class_id], COLOURS[place % len(COLOURS)])
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.margins(0.02)
        svg = as_svg(figure)
    real, made = int((~points.is_generated_K & ~is_seen).sum()), int(points.is_generated_K.sum())
    label = f"t-SNE map of {int(is_seen.sum())} real seen, {real} real unseen and {made} generated unseen embeddings."
    return Chart(svg, label)


def _draw_class(axes: Axes, points: Points, class_id: int, place: int) -> None:
    colour, cycle = COLOURS[place % len(COLOURS)], place // len(COLOURS) % len(_REAL)
    own = points.class_ids_K == class_id
    generated, real = (points.places_K2[own & kind] for kind in (points.is_generated_K, ~points.is_generated_K))
    axes.scatter(
        generated[:, 0], generated[:, 1], s=16, color=colour, marker=_GENERATED[cycle], linewidths=0.8, alpha=0.75
    )
    axes.scatter(real[:, 0], real[:, 1], s=17, color=colour, marker=_REAL[cycle], linewidths=0.4, edgecolors="white")


def _name_class(axes: Axes, points: Points, class_id: int, name: str, colour: str) -> None:
    own = points.places_K2[(points.class_ids_K == class_id) & ~points.is_generated_K]
    if len(own):
        x, y = np.median(own, axis=0).tolist()
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": colour, "linewidth": 1.0, "pad": 1.6}
        axes.annotate(name, (x, y), (0, 15), textcoords="offset points", ha="center", va="center", bbox=box, fontsize=9)
