"""What the benchmarks share, and the page that is made of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmark_files import FOLDER, benchmark

from scaseg_cli.errors import ScasegError

measuring, page_maker, driver = benchmark("measuring"), benchmark("performance_page"), benchmark("run")
PAGE = FOLDER.parent / "docs" / "performance.md"


def outcome(name: str = "base_step", device: str = "cpu", size: str = "small", **changes: Any) -> Any:
    machine = {"cores": 2, "python": "3.11", "torch": "2.11", "threads": 1}
    machine |= {"gpu": "a GPU"} if device == "cuda" else {}
    goal = measuring.Goal("at most", 1.1)
    values = {"ratio_of": "a / b", "ratio": 1.05, "goal": goal, "figures": {"a, s": 0.123456}, "notes": ("A note.",)}
    return measuring.Outcome(name, device, size, **{**values, "machine": machine, **changes})


def test_ways_take_turns_and_the_first_round_is_not_timed() -> None:
    calls: list[str] = []
    ticks = iter([0, 100, 0, 100, 0, 2, 0, 4, 0, 3, 0, 9])  # begin and end of each call
    ways = {name: (lambda name=name: calls.append(name)) for name in ("one", "other")}
    timings = measuring.in_turns(ways, 2, clock=lambda: next(ticks))
    assert calls == ["one", "other"] * 3
    assert timings.seconds == {"one": [2, 3], "other": [4, 9]}


def test_medians_and_the_ratio_within_rounds() -> None:
    timings = measuring.Timings({"one": [1.0, 10.0, 3.0], "other": [2.0, 20.0, 3.0]})
    assert (timings.median("one"), timings.median("other")) == (3.0, 3.0)
    assert timings.ratio("one", "other") == 0.5


@pytest.mark.parametrize(("kind", "ratio", "met"), [("at most", 1.1, True), ("at most", 1.2, False),
                                                    ("at least", 1.1, True), ("at least", 1.0, False)])  # fmt: skip
def test_goals(kind: str, ratio: float, met: bool) -> None:
    goal = measuring.Goal(kind, 1.1)
    assert goal.is_met(ratio) is met
    assert measuring.shown_goal(outcome(goal=goal, ratio=ratio)) == f" (goal: {kind} 1.1; {'met' if met else 'missed'})"


def test_no_goal_is_shown_where_there_is_no_ratio() -> None:
    assert measuring.shown_goal(outcome(ratio=None)) == measuring.shown_goal(outcome(goal=None)) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.123"), (12.0, "12"), (1299002.4, "1,299,002"), (45.67, "45.7")]
)
def test_numbers_as_people_read_them(value: float, text: str) -> None:
    assert measuring.shown_number(value) == text


def test_an_outcome_comes_back_from_json() -> None:
    for one in (outcome(), outcome(goal=None, ratio=None)):
        assert measuring.outcome_from(json.loads(json.dumps(one.as_json_value()))) == one


def test_a_benchmarks_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert measuring.run_benchmark("what", ("cpu",), lambda _: outcome(), ["--json"]) == 0
    assert measuring.outcome_from(json.loads(capsys.readouterr().out)) == outcome()
    assert measuring.run_benchmark("what", ("cpu",), lambda _: outcome(), []) == 0
    assert capsys.readouterr().out.splitlines() == ["a, s: 0.123", "a / b: 1.05 (goal: at most 1.1; met)", "A note."]
    with pytest.raises(SystemExit):
        measuring.run_benchmark("what", ("cpu",), lambda _: outcome(), ["--device", "cuda"])
    with pytest.raises(SystemExit):
        measuring.run_benchmark("what", ("cpu",), lambda _: outcome(), ["--rounds", "0"])


def test_what_fails_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_: Any) -> None:
        raise ScasegError("no such device")

    assert measuring.run_benchmark("what", ("cpu",), fails, []) == 2
    assert "no such device" in capsys.readouterr().err


def test_every_benchmark_of_the_plan_is_there_and_has_a_title() -> None:
    for name in driver.NAMES:
        assert (FOLDER / f"{name}.py").is_file()
        assert name in page_maker.TITLES
    assert set(page_maker.TITLES) == set(driver.NAMES)
    assert not {name for name, _ in driver.PLAN["cuda"]} & set(page_maker.ON_CPU_ALONE)


def test_a_new_outcome_takes_the_place_of_the_old_one() -> None:
    old = [outcome("base_step"), outcome("split_dataset", size="published")]
    new = outcome("base_step", ratio=2.0)
    gpu = outcome("base_step", "cuda", "published")
    kept = driver.replaced_in(driver.replaced_in(old, new), gpu)
    assert kept == [old[1], new, gpu]


def test_the_page_says_whether_there_was_a_gpu() -> None:
    without = page_maker.page([outcome()])
    assert "No GPU was available" in without
    assert "Machine: 2 cores, 1 thread; Python 3.11, torch 2.11." in without
    having = page_maker.page([outcome(), outcome(device="cuda")])
    assert "No GPU was available" not in having
    assert "a GPU; Python" in having


def test_the_page_has_each_command_figure_ratio_and_goal() -> None:
    text = page_maker.page([outcome(), outcome("split_dataset", size="published", ratio=None)])
    assert "    python benchmarks/base_step.py --device cpu --size small\n" in text
    assert "    python benchmarks/split_dataset.py --size published\n" in text
    assert "| a, s | 0.123 |" in text
    assert "| **a / b** | **1.05** |" in text
    assert "| A training step of stage 1 | cpu | small | 1.05 | a / b | at most 1.1; met |" in text
    assert "| split-dataset at COCO's size | cpu | published | - | a / b | - |" in text


def test_the_driver_keeps_earlier_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, asked = tmp_path / "page.md", []

    def run_one(name: str, device: str, size: str, *_: str, seconds: float | None = None) -> Any:  # noqa: ARG001
        asked.append((name, device, size))
        if name == "deformable_attention":
            raise ScasegError("it failed")
        return outcome(name, device, size)

    monkeypatch.setattr(driver, "run_one", run_one)
    assert driver.main(["--only", "split_dataset", "--page", str(page)]) == 0
    assert driver.main(["--only", "embed_classes", "--only", "deformable_attention", "--page", str(page)]) == 2
    assert "it failed" in capsys.readouterr().err
    assert [(name, device) for name, device, _ in asked] == [
        ("split_dataset", "cpu"),
        ("deformable_attention", "cpu"),
        ("embed_classes", "cpu"),  # in spite of the failure before it
    ]
    assert driver.main(["--device", "cuda", "--only", "embed_classes", "--page", str(page)]) == 0
    found = driver.read_outcomes(page.with_suffix(".json"))
    assert [(one.benchmark, one.device) for one in found] == [
        ("split_dataset", "cpu"),
        ("embed_classes", "cpu"),
        ("embed_classes", "cuda"),
    ]
    assert page.read_text() == page_maker.page(found)


def test_a_rehearsal_takes_the_benchmarks_of_a_gpu_and_keeps_no_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, asked = tmp_path / "page.md", []

    def run_one(name: str, device: str, size: str, *more: str) -> Any:
        asked.append((name, device, size, *more))
        return outcome(name, device, size)

    monkeypatch.setattr(driver, "run_one", run_one)
    assert driver.main(["--device", "cuda", "--rehearse", "--page", str(page)]) == 0
    assert [name for name, *_ in asked] == [name for name, _ in driver.PLAN["cuda"]]
    assert {tuple(rest) for _, *rest in asked} == {("cpu", "small", "--rehearse", "--rounds", "1")}
    assert "base_step: 1 figures in 0 s" in capsys.readouterr().err
    assert not page.exists()


def test_a_benchmark_that_fails_stops_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(driver, "FOLDER", tmp_path)
    with pytest.raises(ScasegError, match="broken ended with code 3"):
        driver.run_one("broken", "cpu", "small")


@pytest.mark.skipif(not PAGE.is_file(), reason="there are no figures yet")
def test_the_page_in_docs_is_what_its_figures_make() -> None:
    assert PAGE.read_text() == page_maker.page(driver.read_outcomes(PAGE.with_suffix(".json")))
