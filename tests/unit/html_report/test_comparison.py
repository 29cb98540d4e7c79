import pytest

from scaseg_cli.html_report.comparison import compare


def test_the_only_run_of_a_task_is_not_compared(make_run):
    assert compare([make_run("one")]) == []
    assert compare([make_run("one"), make_run("two", recipe="shapes-zss")]) == []


def test_the_main_rows_of_each_setting_are_compared_with_the_first_run(make_run):
    one = make_run("one")
    two = make_run("two", main={"transductive": (0.5, 0.5, 0.5)}, by_class=(0.5, 0.5, 0.5, 0.5))
    (found,) = compare([one, two])
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
    zps, zss = compare(runs)
    assert [row["run"] for row in zps.main.rows] == ["a", "c", "a", "c"]
    assert [row["run"] for row in zss.main.rows] == ["b", "d", "b", "d"]
    assert "hiou" in zss.main.rows[0]


def test_runs_on_other_images_are_marked(make_run):
    (found,) = compare([make_run("one"), make_run("two", changes=("data.shapes.seed=8",))])
    assert "Not scored on the same images and classes as one, or not known to be: two." in found.main.notes[1]


def test_three_runs_have_no_change_by_class(make_run):
    (found,) = compare([make_run("one"), make_run("two"), make_run("three")])
    assert [column.key for column in found.by_class.columns] == ["class", "seen", "run-1", "run-2", "run-3"]
