"""The driver of docs/scaling.md: points of known cost, the exponents, the totals, and the page."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benchmark_files import FOLDER, benchmark

from scaseg_cli.errors import ScasegError
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

PAGE = FOLDER.parent / "docs" / "scaling.md"
driver, page_maker, totals = benchmark("scaling"), benchmark("scaling_page"), benchmark("scaling_totals")


def points(*pairs: tuple[int, float]) -> dict[str, dict[str, float]]:
    return {str(units): {"cpu_s": seconds, "seconds": seconds, "peak_mb": 1.0} for units, seconds in pairs}


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_that_power(power: float) -> None:
    found = points(*((units, 3 * units**power) for units in (10, 100, 1000)))
    assert page_maker.fitted(page_maker.points_of(found)) == power


def test_one_point_has_no_exponent() -> None:
    assert math.isnan(page_maker.fitted(page_maker.points_of(points((10, 1.0)))))


def test_the_page_marks_what_does_not_grow_in_step_and_names_what_is_missing() -> None:
    series = {"one, zps: images": points((10, 1.0), (100, 10.0)), "two, zps: classes": points((10, 1.0), (100, 100.0))}
    text = page_maker.page({"series": series})
    assert "| one, zps | images | 10, 100 | 1, 10 | 1.0 | 1.0 | 1 - 1 |" in text
    assert "| two, zps | classes | 10, 100 | 1, 100 | 2.0 | **2.0** | 1 - 1 |" in text
    assert "Not measured yet: `python benchmarks/scaling.py --only processes`." in text
    assert "Not computed yet" in text


def test_the_page_says_which_results_are_equal() -> None:
    ways = {"1 process": "a", "2 processes": "b", "2 nodes": "b"}
    of_base = {way: {"cpu_s": 1.0, "result": result} for way, result in ways.items()}
    text = page_maker.page({"divided": {"train-base": of_base}})
    assert "| train-base | 2 processes | 1 | its own |" in text
    assert "| train-base | 2 nodes | 1 | that of 2 processes |" in text


def test_totals_are_units_times_their_time() -> None:
    units = dict.fromkeys(("split, image", "prompt", "base step, image", "query pass, image", "network"), 1.0)
    for case in ("133 classes", "1,000 classes"):
        units |= {f"{name}, {case}": 1.0 for name in ("cat step", "union step", "scoring 8", "scoring 104")}
    units["split, GB per image"] = 1e-6
    coco, ten, _ = totals.CASES
    hours = totals.hours_of(coco, units)
    assert hours["train-base"] == 140_350 * 16 / 3600
    assert hours["evaluate"] == 4000 * (1 + 1) / 3600
    assert totals.hours_of(ten, units)["train-base"] == pytest.approx(10 * hours["train-base"])
    assert totals.hours_of(ten, units)["embed-classes"] == hours["embed-classes"]
    sizes = totals.gigabytes_of(coco, units)
    assert sizes["query file, on disk and in the memory of stages 2 and 3"] == pytest.approx(118_287 * 21 * 1024 / 1e9)
    assert any(line.startswith("| train-base | 624 | 6,238 | 624 |") for line in totals.totals(units))


def test_work_in_a_process_of_its_own_is_returned_and_its_failure_told(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert driver.in_child(lambda: {"a": 1}, log) == {"a": 1}
    with pytest.raises(ScasegError, match=r"log\.txt"):
        driver.in_child(lambda: 1 / 0, log)
    assert "ZeroDivisionError" in log.read_text()


@pytest.mark.parametrize("taken_back", [False, True])
def test_memory_is_the_peak_of_the_work_alone(tmp_path: Path, taken_back: bool) -> None:
    # In a process of its own: this one has memory that it freed and that the system may take back at any time.
    program = f"""
import json, mmap, pathlib, sys
sys.path.insert(0, {str(FOLDER)!r})
import scaling

class Series:
    def prepare(self, shared, folder, units):
        library = folder / "library"
        library.write_bytes(b"x" * units)
        with library.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        assert sum(pages[::4096]) == 120 * len(range(0, units, 4096))  # the whole file is in memory

        def work():
            if {taken_back}:
                pages.madvise(mmap.MADV_DONTNEED)
            return len(b"x" * units)

        return work

held, here = bytearray(b"x" * 200_000_000), pathlib.Path({str(tmp_path)!r})
found = scaling.in_child(lambda: scaling.measured(Series(), 60_000_000, here), here / "log.txt")
print(json.dumps(found | {{"held": len(held)}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert 50 < found["peak_mb"] < 100
    assert found["cpu_s"] >= 0


def test_a_world_has_what_is_asked_and_label_values_that_mean_a_class(tmp_path: Path) -> None:
    worlds = benchmark("scaling_world")
    world = worlds.World(task="zss", train=3, selection=2, validation=2, classes=300)
    recipe, run = worlds.write_world(tmp_path, world), RunDir(tmp_path / "run")
    worlds.finish(recipe, run, world, "embeddings")
    assert {part: len(ids) for part, ids in json.loads(run.images_file.read_bytes()).items()} == {
        "train": 3,
        "selection": 2,
        "validation": 2,
    }
    classes = worlds.read_classes(run)
    assert (len(classes), classes.num_seen) == (300, 240)
    values = {worlds.category_id(class_id) for class_id in range(300)}
    assert len(values) == 300
    assert not values & {0, 255}


def test_every_series_has_its_own_name_and_ascending_units() -> None:
    series = benchmark("scaling_stages").SERIES
    assert len({one.name for one in series}) == len(series)
    assert all(list(one.units) == sorted(set(one.units)) for one in series)


@pytest.mark.skipif(not PAGE.is_file(), reason="there are no figures yet")
def test_the_page_in_docs_is_what_its_figures_make() -> None:
    assert PAGE.read_text() == page_maker.page(json.loads(PAGE.with_suffix(".json").read_bytes()))
