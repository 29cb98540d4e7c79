"""Run `scaseg peers` for several seeds and put its tables into docs/peers.md.

    python benchmarks/peers_page.py --seeds 0,1,2 --folder runs/peers

The same command resumes. The table of each finished seed is added to docs/peers.json as it comes, and the page is made
from that file, so that it can be made in several goes. ``--page-only`` makes the page without a run, ``--only RECIPE``
runs one recipe. Each seed has a base model of its own. The text above the page's mark is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from shapes_page import with_spread

from scaseg_cli.files import read_json, write_json, write_text
from scaseg_cli.results.console import say_plainly
from scaseg_cli.results.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = Path(__file__).parents[1] / "docs" / "peers.md"
FIGURES = PAGE.with_suffix(".json")
MARK = "<!-- results: written by benchmarks/peers_page.py -->\n"
RECIPES = ("shapes-zps", "shapes-zss")
_FLAGS = ("image_tower", "unseen_names")
_COSTS = ("milliseconds", "seconds")
_GROUPS = ("seen", "unseen", "harmonic")
_DIFFERENCES = ("difference", "difference_low", "difference_high")


def run(recipe: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run `scaseg peers` and return its table of results as JSON; its progress output is passed through."""
    words = ["peers", "--recipe", recipe, "--seed", str(seed), "--work-dir", str(folder), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "scaseg_cli", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    table: dict[str, Any] = json.loads(done.stdout)["tables"][0]
    return {key: table[key] for key in ("columns", "rows")}


def seeds_table(recipe: str, tables: Mapping[str, dict[str, Any]]) -> Table:
    """The table of a recipe: each row's mean and spread over the seeds, in the order of the first seed.

    Args:
        recipe: the recipe's name.
        tables: the table of each seed, with the same rows.
    """
    first = next(iter(tables.values()))
    titles = {column["key"]: column["title"] for column in first["columns"]}
    of_seed = [{row["name"]: row for row in table["rows"]} for table in tables.values()]
    rows = []
    for name, row in of_seed[0].items():
        found = [rows_of[name] for rows_of in of_seed]
        cells = {"name": f"`{name}`"} | {key: row[key] for key in _FLAGS}
        cells |= {key: _mean(found, key) for key in (*_COSTS, *_DIFFERENCES)}
        cells |= {key: with_spread([one[key] or 0.0 for one in found]) for key in _GROUPS}
        cells["above"] = None if row["difference"] is None else _count_above(found)
        rows.append(cells | ({"_style": "bold"} if name == "sca" else {}))
    columns = [
        Column("name", "name"),
        *(Column(key, titles[key], "flag") for key in _FLAGS),
        *(Column(key, titles[key], "number") for key in _COSTS),
        *(Column(key, f"{titles[key]} %") for key in _GROUPS),
        *(Column(key, titles[key], "points") for key in _DIFFERENCES),
        Column("above", "seeds above"),
    ]
    return Table(f"{recipe}, seed{'s' if len(tables) > 1 else ''} {', '.join(tables)}", columns, rows, [])


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    return None if rows[0][key] is None else mean(row[key] for row in rows)


def _count_above(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(row['difference'] > 0 for row in rows)} of {len(rows)}"


def page(text: str, found: Mapping[str, dict[str, dict[str, Any]]]) -> str:
    """Return the page with its results replaced.

    Args:
        text: the current page.
        found: the table of each seed, by recipe.
    """
    above = text[: text.index(MARK) + len(MARK)]
    parts = [
        "± is the sample standard deviation over the seeds, each of which has a base model of its own. Costs, "
        "differences and the ends of their intervals are means over the seeds. An interval is of 95 % of paired draws "
        "of images. The seeds ran one after the other, beside other work.\n"
    ]
    parts += [seeds_table(recipe, tables).to_markdown() for recipe, tables in sorted(found.items())]
    return above + "\n" + "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds, keep their tables, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the results in docs/peers.md.")
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated seeds")
    parser.add_argument("--folder", type=Path, default=Path("runs/peers"), help="parent of the run folders")
    parser.add_argument("--only", action="append", default=[], choices=[*RECIPES], help="recipe to run; all by default")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="the file of tables, which is added to")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--page-only", action="store_true", help="make the page of the tables that there are")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = read_json(options.figures, "the tables") if options.figures.is_file() else {}
    jobs = [(recipe, int(seed)) for seed in options.seeds.split(",") for recipe in options.only or RECIPES]
    for recipe, seed in [] if options.page_only else jobs:  # both tables with one seed come before the next seed
        table = run(recipe, seed, options.folder / recipe / f"seed-{seed}")
        found[recipe] = dict(sorted({**found.get(recipe, {}), str(seed): table}.items()))
        write_json(options.figures, found)
    write_text(options.page, page(options.page.read_text(encoding="utf-8"), found))
    say_plainly(f"wrote {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
