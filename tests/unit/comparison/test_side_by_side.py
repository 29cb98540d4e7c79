import pytest

from scaseg_cli.comparison.seed_runs import SeedRuns, alone
from scaseg_cli.comparison.side_by_side import compare, write_comparisons


def test_the_only_run_of_a_task_is_not_compared(make_run):
    assert compare([alone(make_run("one"))]) == []
    assert compare([alone(make_run("one")), alone(make_run("two", recipe="shapes-zss"))]) == []


def test_the_main_rows_of_each_setting_are_compared_with_the_first_run(make_run):
    one = make_run("one")
    two = make_run("two", main={"transductive": (0.5, 0.5, 0.5)}, by_class=(0.5, 0.5, 0.5, 0.5))
    (found,) = compare([alone(one), alone(two)])
    rows = [(row["setting"], row["run"], row["hpq"], row["change"]) for row in found.main.rows]
    assert rows == [
        ("inductive", "one", 0.3, None),
        ("transductive", "one", 0.48, None),
        ("transductive", "two", 0.5, pytest.approx(0.02)),
    ]
    assert found.by_class is not None
    assert [row["class"] for row in found.by_class.rows] == ["cow", "yak", "cat", "d<o>g"]
    assert [row["change"] for row in found.by_class.rows] == [0.375, None, 0.0, 0.25]
    assert len(found.main.notes) == 1
    assert found.as_json_value()["main"]["rows"][2]["run"] == "two"


def test_each_task_is_compared_by_itself(make_run):
    runs = [
        make_run(name, recipe=recipe) for name, recipe in zip("abcd", ["shapes-zps", "shapes-zss"] * 2, strict=True)
    ]
    zps, zss = compare([alone(run) for run in runs])
    assert [row["run"] for row in zps.main.rows] == ["a", "c", "a", "c"]
    assert [row["run"] for row in zss.main.rows] == ["b", "d", "b", "d"]
    assert "hiou" in zss.main.rows[0]


def test_runs_on_other_images_are_marked(make_run):
    (found,) = compare([alone(make_run("one")), alone(make_run("two", changes=("data.shapes.seed=8",)))])
    assert "Not scored on the same images and classes as one, or not known to be: two." in found.main.notes[1]


def test_of_three_runs_the_later_two_are_compared_with_the_first_by_class(make_run):
    runs = [make_run("one"), make_run("two", by_class=(0.75, 0.25, 0.125, None)), make_run("three")]
    (found,) = compare([alone(run) for run in runs])
    assert [column.key for column in found.by_class.columns] == [
        "class", "seen", "run-1", "run-2", "run-3", "change-2", "change-3",
    ]  # fmt: skip
    cat = next(row for row in found.by_class.rows if row["class"] == "cat")
    assert (cat["change-2"], cat["change-3"]) == (0.25, 0.0)


def _seeds(make_run, name, figures, by_class=None):
    """Runs of one recipe: for each seed the harmonic mean of the transductive row, and the first class's figure."""
    runs = {
        seed: make_run(
            f"{name}-{seed}",
            changes=(f"seed={seed}",),
            main={"transductive": (0.5, value / 2, value)},
            by_class=((by_class or figures)[seed], 0.25, 0.125, None),
        )
        for seed, value in figures.items()
    }
    return SeedRuns(name, runs)


def test_several_seeds_are_compared_as_means_of_differences_by_seed(make_run):
    """By hand: the differences are 0.1, 0.3 and 0.2, so their mean is 0.2 and their deviations -0.1, 0.1 and 0."""
    one = _seeds(make_run, "one", {0: 0.2, 1: 0.3, 2: 0.7})
    two = _seeds(make_run, "two", {0: 0.3, 1: 0.6, 2: 0.9})
    (found,) = compare([one, two])
    first, second = found.main.rows
    assert (first["hpq"], first["change"]) == (pytest.approx(0.4), None)
    assert first["hpq_spread"] == pytest.approx((0.07) ** 0.5)  # (0.2**2 + 0.1**2 + 0.3**2) / 2
    assert (second["change"], second["change_spread"]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (second["unseen_change"], second["unseen_change_spread"]) == (pytest.approx(0.1), pytest.approx(0.05))
    assert (second["seen_change"], second["seen_change_spread"]) == (0.0, 0.0)
    assert (second["seeds"], second["higher"]) == ("0, 1, 2", "3 of 3")
    cat = next(row for row in found.by_class.rows if row["class"] == "cat")
    assert (cat["run-1"], cat["change"]) == (pytest.approx(0.4), pytest.approx(0.2))
    assert cat["change_spread"] == pytest.approx(0.1)
    yak = next(row for row in found.by_class.rows if row["class"] == "yak")
    assert (yak["run-1"], yak["change"], yak["change_spread"]) == (None, None, None)


def test_seeds_that_only_one_of_two_runs_has_are_not_paired(make_run):
    one = _seeds(make_run, "one", {0: 0.2, 1: 0.4})
    two = _seeds(make_run, "two", {1: 0.5, 2: 0.9})
    (found,) = compare([one, two])
    assert found.main.rows[1]["change"] == pytest.approx(0.1)
    assert found.main.rows[1]["change_spread"] is None
    assert "two and one are paired over the seeds that both have: 1." in found.main.notes


def test_without_a_common_seed_the_change_is_that_of_the_means(make_run):
    one = _seeds(make_run, "one", {0: 0.2, 1: 0.4})
    two = _seeds(make_run, "two", {5: 0.5, 6: 0.9})
    (found,) = compare([one, two])
    assert found.main.rows[1]["change"] == pytest.approx(0.4)
    assert (found.main.rows[1]["change_spread"], found.main.rows[1]["higher"]) == (None, None)
    assert "two and one have no seed in common: the change is that of the means." in found.main.notes


def test_the_tables_are_written_on_request(make_run, tmp_path):
    found = compare([_seeds(make_run, name, {0: 0.2, 1: 0.3}) for name in ("one", "two")])
    wrote = write_comparisons(found, tmp_path / "tables", by_class=True)
    stems = ("compare", "compare-by-class")
    assert [path.name for path in wrote] == [f"{s}{k}" for s in stems for k in (".json", ".csv", ".md", ".tex")]
    assert "25.0 ± 7.1" in (tmp_path / "tables" / "compare.md").read_text()
    runs = [make_run(f"zss-{n}", recipe="shapes-zss") for n in "ab"]
    both = compare([*(alone(run) for run in runs), _seeds(make_run, "x", {0: 0.2}), _seeds(make_run, "y", {0: 0.2})])
    assert [path.stem for path in write_comparisons(both, tmp_path, by_class=False)][::4] == [
        "compare-zps", "compare-zss",
    ]  # fmt: skip
