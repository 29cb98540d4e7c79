"""The plot of an ablation: one panel per setting, with our and the published measure over what varies.

Matplotlib is imported only when a plot is drawn. The same figures give the same files, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.published import GROUPS, LABEL
from scaseg_cli.comparison.spread import mean_of, spread_of
from scaseg_cli.files import replaced

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scaseg_cli.ablations.figures import Figures
    from scaseg_cli.ablations.rows import AblationRow
    from scaseg_cli.tasks import Setting

# Okabe and Ito's colours, which remain distinct with colour-vision deficiency, and a marker for each.
_LOOKS = {"harmonic": ("#0072B2", "o"), "seen": ("#E69F00", "s"), "unseen": ("#009E73", "^")}
_LABEL_LENGTH = 16  # characters of a row's label on one line
_SETTINGS: Any = {"svg.hashsalt": "scaseg", "svg.fonttype": "none", "font.size": 9.0}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Write plot.png and plot.svg into ``folder`` and return their paths.

    Raises:
        ScasegError: the folder cannot be written.
    """
    import matplotlib

    paths = [folder / "plot.png", folder / "plot.svg"]
    with matplotlib.rc_context(_SETTINGS):
        figure = _figure(figures)
        for path in paths:
            kind = path.suffix[1:]
            date: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
            with replaced(path) as temporary:
                figure.savefig(temporary, format=kind, dpi=150, metadata=date)
    return paths


def _figure(figures: Figures) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = figures.ablation.settings
    width = max(len([row for row in figures.ablation.rows if setting in row.settings]) for setting in settings)
    figure = Figure(figsize=(len(settings) * max(3.6, 0.8 * width + 1.2), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for axes, setting in zip(panels, settings, strict=True):
        _panel(axes, figures, setting)
    panels[0].set_ylabel("per cent")
    panels[0].set_ylim(bottom=0)  # the panels share it; set after drawing, so that the top stays automatic
    found = [pair for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    by_label = {label: handle for handle, label in found}
    labels = sorted(by_label, key=lambda label: LABEL in label)
    figure.suptitle(f"{figures.ablation.name}: {figures.ablation.sweep.title}", wrap=True)
    figure.legend(
        [by_label[label] for label in labels], labels, title="*: the recipe as it is", loc="outside lower center",
        ncols=3 if figures.ablation.published is None else 2, frameon=False,
    )  # fmt: skip
    return figure


def _panel(axes: Axes, figures: Figures, setting: Setting) -> None:
    rows = [row for row in figures.ablation.rows if setting in row.settings]
    for place, group in enumerate(GROUPS):
        _draw_ours(axes, figures, rows, setting, group, shift=0.08 * (place - 1))
        _draw_published(axes, figures, rows, setting, group, shift=0.08 * (place - 1))
    axes.set_title(setting)
    axes.set_xlabel(", ".join(figures.ablation.sweep.keys) if figures.ablation.sweep.rows is None else "")
    axes.set_xticks(range(len(rows)), [_folded(row.label + (" *" if row.is_default else "")) for row in rows])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_ours(
    axes: Axes, figures: Figures, rows: list[AblationRow], setting: Setting, group: str, shift: float
) -> None:
    found = [list(figures.of(row.label, setting, group).values()) for row in rows]
    points = [(place + shift, mean_of(values), spread_of(values)) for place, values in enumerate(found)]
    known = [(x, 100 * y, 100 * (spread or 0.0)) for x, y, spread in points if y is not None]
    if not known:
        return
    colour, marker = _LOOKS[group]
    x, y, spreads = zip(*known, strict=True)
    spread = spreads if any(spreads) else None
    axes.errorbar(
        x, y, spread, color=colour, marker=marker, linestyle=_line(figures, "-"), linewidth=1.4, markersize=5,
        capsize=3, label=f"{figures.title(group)}, ours",
    )  # fmt: skip


def _draw_published(
    axes: Axes, figures: Figures, rows: list[AblationRow], setting: Setting, group: str, shift: float
) -> None:
    published = figures.ablation.published
    if published is None:
        return
    points = [(place + shift, published.figure(row.label, setting, group)) for place, row in enumerate(rows)]
    known = [(x, 100 * y) for x, y in points if y is not None]
    if not known:
        return
    colour, marker = _LOOKS[group]
    x, y = zip(*known, strict=True)
    axes.plot(
        x, y, color=colour, marker=marker, markerfacecolor="white", linestyle=_line(figures, "--"), linewidth=1.0,
        markersize=5, label=f"{figures.title(group)}, {LABEL}",
    )  # fmt: skip


def _line(figures: Figures, style: str) -> str:
    """``style`` if the sweep varies one key over numbers, else no line, since the rows have no order."""
    values = figures.ablation.sweep.values or []
    ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return style if values and ordered else "none"


def _folded(label: str) -> str:
    """The label, broken into short lines."""
    lines = [""]
    for word in label.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= _LABEL_LENGTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
