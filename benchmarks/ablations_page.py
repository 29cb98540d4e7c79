"""Run `scaseg ablate` and put its tables, pictures and counts into docs/ablations.md.

    python benchmarks/ablations_page.py "all --jobs 2" "gamma -r shapes-zps-published --seeds 0,1,2"

Each argument is the command line of one `scaseg ablate`. Existing results are not computed again, so the same command
writes the same page, and resumes. Seeds are run one after another: after each, the reports so far are in
docs/ablations.json, of which the page is made, so that it can be made in several goes. ``--page-only`` makes the page
of the reports that there are. An ablation of another recipe than the default one has a section of its own. The text
above the page's mark is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.ablation_table import mark_best
from scaseg_cli.files import read_json, replaced, write_json, write_text
from scaseg_cli.results.console import in_words, say_plainly
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAGE = Path(__file__).parents[1] / "docs" / "ablations.md"
REPORTS = PAGE.with_suffix(".json")
MARK = "<!-- results: written by benchmarks/ablations_page.py -->\n"
_SOME_FAILED = 3  # exit code of `scaseg ablate` when some cells failed

AblationReport = dict[str, Any]


def run(words: str) -> AblationReport:
    """Run `scaseg ablate` and return its JSON report; its progress output is passed through."""
    command = [sys.executable, "-m", "scaseg_cli", "ablate", *shlex.split(words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, _SOME_FAILED):
        raise SystemExit(done.returncode)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def by_seed(words: str) -> list[str]:
    """The command with its first seed, then with the first two, and so on to all."""
    parts = shlex.split(words)
    if "--seeds" not in parts:
        return [words]
    place = parts.index("--seeds") + 1
    seeds = parts[place].split(",")
    return [
        shlex.join([*parts[:place], ",".join(seeds[: number + 1]), *parts[place + 1 :]]) for number in range(len(seeds))
    ]


def without_paths(report: AblationReport) -> AblationReport:
    """The report without what names this machine: folders, logs and written files."""
    ablations = []
    for ablation in report["ablations"]:
        cells = [{key: value for key, value in cell.items() if key != "folder"} for cell in ablation["cells"]]
        failures = [{key: value for key, value in one.items() if key != "log"} for one in ablation["failures"]]
        ablations.append({**ablation, "cells": cells, "failures": failures, "wrote": []})
    return {**report, "ablations": ablations}


def recipe_of(words: str) -> str | None:
    """The recipe that a command names; None: the default one."""
    parts = shlex.split(words)
    for option in ("-r", "--recipe"):
        if option in parts[:-1]:
            return Path(parts[parts.index(option) + 1]).stem
    return None


def page(text: str, commands: Sequence[str], reports: Sequence[AblationReport], pictures: dict[str, str]) -> str:
    """Return the page with its results replaced.

    Args:
        text: the current page.
        commands: the command line of each report.
        reports: the reports of the commands.
        pictures: the picture's path relative to the page, by ablation.
    """
    above = text[: text.index(MARK) + len(MARK)]
    parts = [
        "These commands were run, in this order, on a machine with "
        f"{os.cpu_count()} CPU cores and no GPU, after `make demo`:\n",
        "```sh\n" + "\n".join(f"scaseg ablate {words}" for words in commands) + "\n```\n",
        counts_table(commands, reports).to_markdown(),
        directions_table(commands, reports).to_markdown(),
    ]
    for name, ablation in latest(commands, reports).items():
        parts.append(f"## {name}\n")
        if name in pictures:
            parts.append(f"![{ablation['title']}]({pictures[name]})\n")
        parts += [as_table(table).to_markdown() for table in ablation["tables"]]
    return above + "\n" + "\n".join(parts)


def latest(commands: Sequence[str], reports: Iterable[AblationReport]) -> dict[str, dict[str, Any]]:
    """Each ablation of each recipe once, as reported by the last command that ran it, by its name on the page."""
    found = {}
    for words, report in zip(commands, reports, strict=True):
        recipe = recipe_of(words)
        for ablation in report["ablations"]:
            found[ablation["name"] + (f", {recipe}" if recipe is not None else "")] = ablation
    return found


def as_table(value: dict[str, Any]) -> Table:
    """Make a table from its JSON; the highest figure of each column is bold, per setting."""
    table = Table(value["title"], [Column(**column) for column in value["columns"]], value["rows"], value["notes"])
    for setting in dict.fromkeys(row["setting"] for row in table.rows):
        mark_best([row for row in table.rows if row["setting"] == setting], table.columns)
    return table


def counts_table(commands: Sequence[str], reports: Sequence[AblationReport]) -> Table:
    """Table of the number of stages run, compared with a plain loop over the cells."""
    rows = [
        {
            "command": f"ablate {words}",
            "cells": report["num_cells"],
            "plain": report["num_plain"],
            "own": report["num_own"],
            "shared": report["num_stages"] - report["num_own"],
            "time": in_words(report["seconds_own"]),
        }
        for words, report in zip(commands, reports, strict=True)
    ]
    columns = [
        Column("command", "command"),
        Column("cells", "cells", "count"),
        Column("plain", "stages in a plain loop", "count"),
        Column("own", "stages run", "count"),
        Column("shared", "shared with the demo's run", "count"),
        Column("time", "time of the stages run"),
    ]
    notes = [
        "A cell is one row with one seed. The time is the sum over the stages, run one after the other. Stages that an "
        "earlier command had run were not run again; they are counted in each row that needs them."
    ]
    return Table("Stages that were run", columns, rows, notes)


def directions_table(commands: Sequence[str], reports: Iterable[AblationReport]) -> Table:
    """Table of the number of effects in each direction, for each ablation with published figures."""
    rows: list[dict[str, Any]] = []
    for name, ablation in latest(commands, reports).items():
        if len(ablation["tables"]) < 2:
            continue
        verdicts = Counter(row["verdict"] for row in ablation["tables"][1]["rows"])
        rows.append({"name": name, "all": verdicts.total(), **verdicts})
    words = ("agrees", "opposite", "seeds differ", "no difference", "not known")
    known = [word for word in words if any(word in row for row in rows)]
    rows = [{"name": row["name"], "all": row["all"], **{word: row.get(word, 0) for word in known}} for row in rows]
    total = {key: sum(row[key] for row in rows) for key in ("all", *known)}
    rows.append({"name": "all", **total, "_style": "bold"})
    columns = [Column("name", "ablation"), Column("all", "effects", "count")]
    columns += [Column(word, word, "count") for word in known]
    return Table("Direction of the published effects", columns, rows, [])


def copy_pictures(words: str, report: AblationReport, folder: Path) -> dict[str, str]:
    """Copy each ablation's picture into ``folder``; return its path relative to the page, by its name there."""
    found = {}
    for name, ablation in latest([words], [report]).items():
        for path in (Path(name) for name in ablation["wrote"] if name.endswith("plot.svg")):
            place = folder / f"{name.replace(', ', '-')}.svg"
            with replaced(place) as temporary:
                temporary.write_bytes(path.read_bytes())
            found[name] = f"images/ablations/{place.name}"
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the commands seed by seed, keep their reports, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the results in docs/ablations.md.")
    parser.add_argument("commands", nargs="*", metavar="WORDS", help="arguments of one `scaseg ablate`, in quotes")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="the file of reports, which is added to")
    parser.add_argument("--page-only", action="store_true", help="make the page of the reports that there are")
    options = parser.parse_args(arguments)
    if bool(options.commands) == options.page_only:
        parser.error("name commands, or --page-only")
    there: Any = read_json(options.reports, "the reports") if options.reports.is_file() else []
    kept: dict[str, dict[str, Any]] = {one["command"]: one for one in there}
    for words in options.commands:
        for part in by_seed(words):
            report = run(part)
            pictures = copy_pictures(words, report, options.page.parent / "images" / "ablations")
            kept.pop(words, None)  # the latest last, which counts
            kept[words] = {"command": words, "report": without_paths(report), "pictures": pictures}
            write_json(options.reports, list(kept.values()))
    reports = [one["report"] for one in kept.values()]
    pictures = {name: picture for one in kept.values() for name, picture in one["pictures"].items()}
    write_text(options.page, page(options.page.read_text(encoding="utf-8"), list(kept), reports, pictures))
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
