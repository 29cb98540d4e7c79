"""Several seeds of one recipe: which folders they are, and their means and spreads by hand."""

import doctest
from pathlib import Path

import pytest

from scaseg_cli.comparison import spread
from scaseg_cli.comparison.seed_runs import (
    by_recipe,
    class_means,
    open_seed_runs,
    report_seeds,
    seed_table,
    summary_of,
)
from scaseg_cli.errors import ScasegError
from scaseg_cli.run_dir import RunDir

FIGURES = {0: (0.5, 0.1, 0.2), 1: (0.7, 0.2, 0.3), 2: (0.6, 0.6, 0.7)}  # seen, unseen, harmonic


@pytest.fixture
def seeds(make_run, tmp_path: Path) -> Path:
    """The folder of three seeds of one recipe."""
    for seed, figures in FIGURES.items():
        make_run(
            f"run/seeds/{seed}",
            changes=(f"seed={seed}",),
            main={"inductive": (0.5, 0.5, 0.5), "transductive": figures},
            by_class=(figures[0], 0.25, 0.125, None if seed else 0.5),
        )
    return tmp_path / "run" / "seeds"


def test_examples() -> None:
    assert doctest.testmod(spread).failed == 0


def test_the_table_has_each_seed_and_then_their_mean_and_sample_standard_deviation(seeds: Path) -> None:
    """By hand: seen deviates from its mean 0.6 by -0.1, 0.1 and 0, harmonic from 0.4 by -0.2, -0.1 and 0.3."""
    (group,) = open_seed_runs([seeds])
    table = seed_table(group)
    own = [row for row in table.rows if row["setting"] == "transductive"]
    assert [row["seed"] for row in own] == ["0", "1", "2", "mean"]
    assert [row["hpq"] for row in own] == [0.2, 0.3, 0.7, pytest.approx(0.4)]
    assert own[3]["spq"] == pytest.approx(0.6)
    assert own[3]["spq_spread"] == pytest.approx(0.1)
    assert own[3]["hpq_spread"] == pytest.approx((0.14 / 2) ** 0.5)
    assert own[3]["increment"] == 1.0
    assert (own[3]["_style"], own[0].get("_style")) == ("bold", None)
    inductive = next(row for row in table.rows if row["seed"] == "mean")
    assert (inductive["hpq"], inductive["hpq_spread"], inductive["_section"]) == (0.5, 0.0, True)
    assert "40.0 ± 26.5" in table.to_markdown()
    assert "seeds 0, 1, 2" in table.title


def test_the_means_by_class_leave_out_seeds_without_a_value(seeds: Path) -> None:
    (group,) = open_seed_runs([seeds])
    rows = {row["class"]: row for row in class_means(group).rows}
    assert (rows["cat"]["pq"], rows["cat"]["pq_spread"]) == (pytest.approx(0.6), pytest.approx(0.1))
    assert (rows["yak"]["pq"], rows["yak"]["pq_spread"]) == (0.5, None)


def test_the_report_writes_both_tables_and_has_the_figures_for_programs(seeds: Path) -> None:
    (group,) = open_seed_runs([seeds])
    report = report_seeds(group, RunDir(seeds.parent))
    names = [path.name for path in report.wrote]
    assert names == [f"{stem}{kind}" for stem in ("results", "per-class") for kind in (".json", ".csv", ".md", ".tex")]
    assert all(path.is_file() for path in report.wrote)
    assert report.next_command == f"scaseg report {seeds}"
    assert report.summary == summary_of(group)
    assert report.summary["seeds"] == [0, 1, 2]
    assert report.summary["mean"]["transductive"]["harmonic"]["pq"] == pytest.approx(0.4)
    assert report.summary["spread"]["transductive"]["seen"]["pq"] == pytest.approx(0.1)


def test_seeds_of_different_recipes_are_refused(make_run, seeds: Path) -> None:
    make_run("run/seeds/2", changes=("seed=2", "base.iterations=7"))
    with pytest.raises(ScasegError, match=r"seeds/2 was made by another recipe than .*seeds/0") as caught:
        open_seed_runs([seeds])
    assert "scaseg run --seeds 0,1,2" in caught.value.hint


def test_a_folder_whose_name_is_not_its_seed_is_refused(make_run, seeds: Path) -> None:
    make_run("run/seeds/4", changes=("seed=9",))
    with pytest.raises(ScasegError, match="seeds/4 has seed 9 in its recipe"):
        open_seed_runs([seeds])


def test_a_run_folder_counts_as_one_run_although_it_has_seeds(make_run, seeds: Path) -> None:
    make_run("run", changes=("seed=7",))
    (group,) = open_seed_runs([seeds.parent])
    assert (group.label, list(group.runs)) == ("run", [7])
    both = open_seed_runs([seeds, seeds / "1"])
    assert [one.label for one in both] == ["run", "seed 1"]


def test_a_folder_that_is_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScasegError, match="is not a run folder"):
        open_seed_runs([tmp_path])


def test_runs_are_put_together_if_their_recipes_differ_in_the_seed_alone(make_run, seeds: Path) -> None:
    (group,) = open_seed_runs([seeds])
    other = make_run("other", changes=("base.iterations=7",))
    again = make_run("again", changes=("seed=1", "threads=3"))
    found = by_recipe([other, *group.runs.values(), again])
    assert [(one.label, list(one.runs)) for one in found] == [("other", [0]), ("run", [0, 1, 2]), ("again", [1])]
    named = by_recipe([again, make_run("last", changes=("seed=5",))])
    assert [(one.label, list(one.runs)) for one in named] == [("again, last", [1, 5])]
