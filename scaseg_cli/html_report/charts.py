"""Charts of a run: losses, and the fine-tuning snapshots' results on the selection images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.html_report.svg import as_svg, chart_style, new_figure
from scaseg_cli.measures.measure import LETTERS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from scaseg_cli.evaluation.choices_file import ChosenFigure
    from scaseg_cli.html_report.curves import Losses, Snapshots

# Okabe and Ito's colours, which remain distinct with colour-vision deficiency, with a line style for each.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
_SIZE = (4.2, 3.0)  # inches; text is legible at the full width of a phone
_MODELS = {"method": "Fine-tuning", "control": "Fine-tuning, control: no generator"}


class Chart(NamedTuple):
    """One chart: its SVG and a text alternative."""

    svg: str
    label: str


def loss_charts(losses: Losses, title: str, whole: str) -> list[Chart]:
    """Draw two charts: the loss that is minimised, and its parts on a logarithmic axis.

    Args:
        losses: losses of earlier decoder layers, whose names have a dot, are left out.
        title: what is trained.
        whole: name of the loss that is minimised.
    """
    parts = {name: values for name, values in losses.values.items() if name != whole and "." not in name}
    charts = []
    for values, what in (({whole: losses.values.get(whole, [])}, "loss"), (parts, "parts of the loss")):
        if not any(values.values()):
            continue
        with chart_style():
            figure = new_figure(*_SIZE)
            axes = figure.add_subplot()
            _draw_losses(axes, losses.steps, values)
            axes.set_title(f"{title}: {what}")
            ends = "; ".join(
                f"{_words(name)} {one[0]:.3g} at first, {one[-1]:.3g} at last" for name, one in values.items()
            )
            charts.append(Chart(as_svg(figure), f"{title}, {what} over iterations: {ends}."))
    return charts


def validation_chart(figures: Losses, title: str) -> Chart:
    """Draw the base model's figures on selection images while it was trained.

    Args:
        figures: fractions by group of classes.
        title: the measure's, such as "PQ".
    """
    with chart_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        for place, (group, letter) in enumerate(LETTERS.items()):
            values = [100 * value for value in figures.values[group]]
            colour, dashes, marker = COLOURS[place], _DASHES[place], "." if len(values) < 30 else ""
            axes.plot(figures.steps, values, color=colour, linestyle=dashes, marker=marker, label=f"{letter}{title}")
        axes.set(title="Base: selection images", xlabel="iteration", ylabel=f"{title} %")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
        ends = ", ".join(f"{letter}{title} {100 * figures.values[group][-1]:.1f}" for group, letter in LETTERS.items())
        return Chart(as_svg(figure), f"Base, {title} on selection images over iterations; at last: {ends}.")


def _draw_losses(axes: Axes, steps: list[float], values: dict[str, list[float]]) -> None:
    marker = "." if len(steps) < 8 else ""
    for place, (name, one) in enumerate(values.items()):
        colour, dashes = COLOURS[place % len(COLOURS)], _DASHES[place % len(_DASHES)]
        axes.plot(steps, one, color=colour, linestyle=dashes, marker=marker, linewidth=1.5, label=_words(name))
    if len(values) > 1:
        if min(min(one) for one in values.values()) > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.legend(ncols=2, fontsize=8)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("iteration")


def _words(name: str) -> str:
    return name.removeprefix("loss_").replace("_", " ")


def snapshot_charts(snapshots: Snapshots) -> list[Chart]:
    """Draw one chart per model: the harmonic mean on the selection images over the steps, one line per increment."""
    title = f"h{snapshots.measure.upper() if snapshots.measure == 'pq' else 'IoU'}"
    top = max((figure["harmonic"] or 0.0 for figure in snapshots.figures), default=0.0)
    charts = []
    for model, words in _MODELS.items():
        figures = [figure for figure in snapshots.figures if figure["model"] in (model, "base")]
        if not any(figure["model"] == model for figure in figures):
            continue
        with chart_style():
            figure = new_figure(*_SIZE)
            axes = figure.add_subplot()
            _draw_snapshots(axes, figures)
            _mark_chosen(axes, snapshots, model)
            axes.set(ylim=(0, 108 * top or 1), xlabel="step", ylabel=f"{title} % (selection)", title=words)
            handles, labels = _distinct_entries(axes)
            figure.legend(handles, labels, title="increment", loc="outside right upper", fontsize=8, title_fontsize=8)
            label = f"{title} on the selection images over steps, one line per increment. {words}."
            charts.append(Chart(as_svg(figure), label))
    return charts


def _draw_snapshots(axes: Axes, figures: list[ChosenFigure]) -> None:
    """One line per increment, from dark to light; step 0 is the base model."""
    import matplotlib

    increments = sorted({figure["increment"] for figure in figures})
    for place, increment in enumerate(increments):
        points = sorted((f["step"], 100 * (f["harmonic"] or 0.0)) for f in figures if f["increment"] == increment)
        steps, values = zip(*points, strict=True)
        colour = matplotlib.colormaps["viridis"](0.92 * place / max(1, len(increments) - 1))
        marker = "o^sDv<>p*h"[place % 10]
        axes.plot(steps, values, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=f"{increment:g}")


def _mark_chosen(axes: Axes, snapshots: Snapshots, model: str) -> None:
    for chosen in snapshots.chosen.values():
        if chosen is not None and chosen["model"] == model:
            axes.plot(
                chosen["step"], 100 * (chosen["harmonic"] or 0.0), "o", markersize=11, markerfacecolor="none",
                markeredgecolor="#D55E00", markeredgewidth=1.8, label="chosen", zorder=5,
            )  # fmt: skip


def _distinct_entries(axes: Axes) -> tuple[list[Artist], list[str]]:
    """Handles and labels of the legend, each label once."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    return list(found.values()), list(found)
