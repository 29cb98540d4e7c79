"""Runs `scaseg ablate` and puts its tables, pictures and counts into docs/ablations.md.

    python benchmarks/ablations_page.py "all --seeds 0,1,2 --jobs 2"

Each argument is what `scaseg ablate` is given. What is there already is not run again; the same command writes the same
page. What stands above the page's mark is left as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scaseg_cli.ablations.report import mark_best
from scaseg_cli.files import replaced, write_text
from scaseg_cli.results.console import in_words, say_plainly
from scaseg_cli.results.table import Column, Table

PAGE = Path(__file__).parents[1] / "docs" / "ablations.md"
MARK = "<!-- results: written by benchmarks/ablations_page.py -->\n"
_SOME_FAILED = 3  # exit code of the command

Report = dict[str, Any]


def run(words: str) -> Report:
    """What `scaseg ablate` reports as JSON; what it says meanwhile is passed on."""
    command = [sys.executable, "-m", "scaseg_cli", "ablate", *shlex.split(words), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, _SOME_FAILED):
        raise SystemExit(done.returncode)
    return json.loads(done.stdout)


def page(text: str, commands: Sequence[str], reports: Sequence[Report], pictures: dict[str, str]) -> str:
    """The page with the results in the place of those that were there.

    Args:
        text: of the page.
        commands: what each report came from.
        reports: of the commands.
        pictures: by ablation, where the page finds the picture.
    """
    above = text[: text.index(MARK) + len(MARK)]
    parts = [
        "What was run, in this order, on a machine with "
        f"{os.cpu_count()} CPU cores and without a GPU, after `make demo`:\n",
        "```sh\n" + "\n".join(f"scaseg ablate {words}" for words in commands) + "\n```\n",
        counts_table(commands, reports).to_markdown(),
        directions_table(reports).to_markdown(),
    ]
    for ablation in latest(reports):
        parts.append(f"## {ablation['name']}\n")
        if ablation["name"] in pictures:
            parts.append(f"![{ablation['title']}]({pictures[ablation['name']]})\n")
        parts += [as_table(table).to_markdown() for table in ablation["tables"]]
    return above + "\n" + "\n".join(parts)


def latest(reports: Iterable[Report]) -> list[dict[str, Any]]:
    """Each ablation once, as the last command that carried it out reports it."""
    return list({ablation["name"]: ablation for report in reports for ablation in report["ablations"]}.values())


def as_table(value: dict[str, Any]) -> Table:
    """A table from its JSON; the highest of each column of figures stands out, setting by setting."""
    table = Table(value["title"], [Column(**column) for column in value["columns"]], value["rows"], value["notes"])
    for setting in dict.fromkeys(row["setting"] for row in table.rows):
        mark_best([row for row in table.rows if row["setting"] == setting], table.columns)
    return table


def counts_table(commands: Sequence[str], reports: Sequence[Report]) -> Table:
    """How many stages ran, beside what a plain loop over the cells would have run."""
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
        Column("plain", "stages of a plain loop", "count"),
        Column("own", "stages run", "count"),
        Column("shared", "shared with the demo's run", "count"),
        Column("time", "time of the stages run"),
    ]
    notes = [
        "A cell is a row with a seed. The time is the sum over the stages, one after the other. What an earlier "
        "command had run was not run again, and is counted in each line that needs it."
    ]
    return Table("Stages that were run", columns, rows, notes)


def directions_table(reports: Iterable[Report]) -> Table:
    """Of each ablation with published figures, how many effects go which way."""
    rows: list[dict[str, Any]] = []
    for ablation in latest(reports):
        if len(ablation["tables"]) < 2:
            continue
        verdicts = Counter(row["verdict"] for row in ablation["tables"][1]["rows"])
        rows.append({"name": ablation["name"], "all": verdicts.total(), **verdicts})
    words = ("agrees", "opposite", "seeds differ", "no difference", "not known")
    known = [word for word in words if any(word in row for row in rows)]
    rows = [{"name": row["name"], "all": row["all"], **{word: row.get(word, 0) for word in known}} for row in rows]
    total = {key: sum(row[key] for row in rows) for key in ("all", *known)}
    rows.append({"name": "all", **total, "_style": "bold"})
    columns = [Column("name", "ablation"), Column("all", "effects", "count")]
    columns += [Column(word, word, "count") for word in known]
    return Table("Direction of the published effects", columns, rows, [])


def copy_pictures(reports: Iterable[Report], folder: Path) -> dict[str, str]:
    """Put each ablation's picture into ``folder``; returns where the page finds it."""
    found = {}
    for ablation in latest(reports):
        for path in (Path(name) for name in ablation["wrote"] if name.endswith("plot.svg")):
            place = folder / f"{ablation['name']}.svg"
            with replaced(place) as temporary:
                temporary.write_bytes(path.read_bytes())
            found[ablation["name"]] = f"images/ablations/{place.name}"
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the commands, then write the page; returns the exit code."""
    parser = argparse.ArgumentParser(description="The results in docs/ablations.md.")
    parser.add_argument("commands", nargs="+", metavar="WORDS", help="what `scaseg ablate` is given, in quotes")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page")
    options = parser.parse_args(arguments)
    reports = [run(words) for words in options.commands]
    pictures = copy_pictures(reports, options.page.parent / "images" / "ablations")
    text = page(options.page.read_text(encoding="utf-8"), options.commands, reports, pictures)
    write_text(options.page, text)
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
