"""The page: templates filled with the runs' content. Charts are drawn here, each with unique ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from scaseg_cli.html_report.charts import Chart, loss_charts, snapshot_charts, validation_chart
from scaseg_cli.html_report.map_chart import map_chart
from scaseg_cli.html_report.svg import inlined
from scaseg_cli.measures.measure import LETTERS, TITLES
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.console import in_words
from scaseg_cli.results.table import Column, Table, header, json_value, shown
from scaseg_cli.tasks import TASKS
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from scaseg_cli.comparison.side_by_side import Comparison
    from scaseg_cli.html_report.content import Content


class PageCell(NamedTuple):
    """A table's cell: value and spread, each at full precision and as the text that is shown."""

    text: str
    value: float | int | None
    spread: float | None
    spread_text: str


class Figure(NamedTuple):
    """A chart in the page, with a text alternative."""

    svg: Markup
    label: str


class RunView(NamedTuple):
    """One run and its charts, as the templates use them."""

    anchor: str
    content: Content
    curves: list[Figure]
    map: Figure | None
    ablations: list[Figure | None]

    @property
    def strong(self) -> list[bool]:
        """For each row of the result table, whether it is a main row."""
        return [name in MAIN for name in self.content.finished.row_names]

    @property
    def harmonic_title(self) -> str:
        """The title of the main measure's harmonic mean, such as "hPQ"."""
        finished = self.content.finished
        key = finished.figure_keys["harmonic"]
        return next(column.title for column in finished.results.columns if column.key == key)

    @property
    def by_class(self) -> Table:
        """The table by class: unseen classes first, sorted by the main measure, which is the first figure column."""
        table, measure = self.content.finished.per_class, self.content.finished.task.measure
        rows = sorted(table.rows, key=lambda row: (row["seen"], -(row[measure] or 0.0)))
        first = {"class": 0, measure: 1}
        last = {"seen": 1, "isthing": 1}
        columns = sorted(table.columns, key=lambda column: (last.get(column.key, 0), first.get(column.key, 2)))
        return Table(table.title, columns, rows, table.notes)

    @property
    def sections(self) -> list[tuple[str, str]]:
        """The sections that the page has: suffix of the anchor, and title."""
        content = self.content
        there = {
            ("results", "Results"): True,
            ("classes", "By class"): True,
            ("confusion", "Confusion"): bool(content.confusion),
            ("curves", "Curves"): bool(self.curves),
            ("embeddings", "Query embeddings"): content.distances is not None,
            ("images", "Images"): content.examples is not None or bool(content.grids),
            ("ablations", "Ablations"): bool(content.ablations),
            ("made", "What made it"): True,
        }
        return [section for section, is_there in there.items() if is_there]


def render(contents: Sequence[Content], comparisons: Sequence[Comparison], means: Sequence[Table] = ()) -> str:
    """Render the HTML document."""
    environment = Environment(
        loader=PackageLoader("scaseg_cli.html_report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(cells=cells, header=header, shown=shown, in_words=in_words, strong_rows=strong_rows)
    harmonic_keys = [f"{LETTERS['harmonic']}{task.measure}" for task in TASKS.values()]
    environment.globals.update(version=__version__, harmonic_keys=harmonic_keys)
    runs = [_view(f"run-{place}", content) for place, content in enumerate(contents, start=1)]
    return environment.get_template("report.html").render(runs=runs, comparisons=comparisons, means=means)


def strong_rows(table: Table) -> list[bool]:
    """For each row, whether it is displayed in bold."""
    return [row.get("_style") == "bold" for row in table.rows]


def cells(table: Table, row: dict[str, Any]) -> list[tuple[Column, PageCell]]:
    """Return the cells of a row, each with its column."""
    return [(column, _cell(column, row)) for column in table.columns]


def _cell(column: Column, row: dict[str, Any]) -> PageCell:
    value = json_value(row.get(column.key))
    spread = json_value(row.get(column.spread)) if column.spread is not None else None
    number = value if column.is_numeric else None
    kind = "percent" if column.kind == "points" else column.kind
    return PageCell(shown(value, column.kind), number, spread, shown(spread, kind))


def _view(anchor: str, content: Content) -> RunView:
    charts = loss_charts(content.base, "Base", "loss") if content.base is not None else []
    if content.validation is not None and content.validation.steps:
        charts.append(validation_chart(content.validation, TITLES[content.finished.task.measure]))
    charts += loss_charts(content.generator, "Generator", "total") if content.generator is not None else []
    charts += snapshot_charts(content.snapshots) if content.snapshots is not None else []
    survey = content.survey
    drawn = map_chart(survey, content.names) if survey is not None and len(survey.map_K2) else None
    plots: list[Figure | None] = []
    for place, one in enumerate(content.ablations):
        label = f"{one.results.title}: the measure over the rows, ours and published."
        prefix = f"{anchor}-a{place}-"
        plots.append(None if one.plot is None else Figure(inlined(one.plot, prefix, label), label))
    return RunView(
        anchor,
        content,
        [_figure(chart, f"{anchor}-c{place}-") for place, chart in enumerate(charts)],
        _figure(drawn, f"{anchor}-map-") if drawn is not None else None,
        plots,
    )


def _figure(chart: Chart, prefix: str) -> Figure:
    return Figure(inlined(chart.svg, prefix, chart.label), chart.label)
