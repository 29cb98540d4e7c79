"""`scaseg ablate` on a tiny finished run: what it shares, how often it runs the network, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaseg_cli.base.segmentor import Segmentor
from scaseg_cli.evaluation.pictures.examples import NUM_EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from damaged_world import World

WITHOUT_TRAINING = ("null-embedding", "pseudo-seen", "pseudo-unseen", "increment")
FAILING = """
title: One of these needs a generator, and has none
rows:
  - {label: without, set: {cat.generator: none}}
  - {label: three, set: {union.pseudo_unseen: 3}}
settings: [transductive]
"""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Images that the network has seen in this process, in training views and otherwise."""
    seen: Counter[str] = Counter()

    def counted(name: str, number_of: Callable[[Any], int]) -> None:
        original = getattr(Segmentor, name)

        def method(self: Segmentor, given: Any, *rest: Any) -> Any:
            seen[name] += number_of(given)
            return original(self, given, *rest)

        monkeypatch.setattr(Segmentor, name, method)

    counted("encode", len)
    counted("match", lambda batch: len(batch["inputs"]))
    return seen


def ablate(world: World, *arguments: str) -> dict[str, Any]:
    """Run `scaseg ablate ... --json` to a good end."""
    outcome = world.scaseg("ablate", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def ablations(world: World) -> Path:
    return world.folder / "run" / "ablations"


def num_images(world: World, part: str) -> int:
    return len(json.loads((world.folder / "run" / "split" / "images.json").read_text())[part])


def test_four_tables_take_one_pass_over_validation_images_and_none_over_training_images(
    world: World, passes: Counter[str]
) -> None:
    report = ablate(world, *WITHOUT_TRAINING)
    assert passes["match"] == 0
    # Each selection image once, for the choices of the fine-tuning; each validation image once, for all figures; the
    # few images that are drawn as examples once more.
    assert passes["encode"] == num_images(world, "selection") + num_images(world, "validation") + NUM_EXAMPLES
    assert (report["num_cells"], report["num_run"], report["num_failed"]) == (15, 1 + 8 + 11, 0)
    assert report["num_plain"] == 11 * 8 - 11 + 4 * 4  # the data is no stage here
    passes.clear()
    again = ablate(world, *WITHOUT_TRAINING)
    assert (again["num_run"], passes.total()) == (0, 0)
    assert again["ablations"] == report["ablations"]


def test_inductive_figures_alone_take_no_pass_over_selection_images(world: World, passes: Counter[str]) -> None:
    (made,) = ablate(world, "increment")["ablations"]
    assert passes == {"encode": num_images(world, "validation") + NUM_EXAMPLES}
    page = world.scaseg("report", "--images", "0", "--json")
    (shown,) = json.loads(page.out)["runs"]
    assert shown["ablations"]["increment"]["results"]["rows"] == made["tables"][0]["rows"]
    assert "Ablations" not in shown["left_out"]


def test_a_cell_has_the_files_and_figures_of_a_run_of_its_own(world: World) -> None:
    (report,) = ablate(world, "pseudo-unseen", "--values", "50,60")["ablations"]
    for cell in report["cells"]:
        assert world.scaseg("run", "--set", f"union.pseudo_unseen={cell['row']}").code == 0
        for stage in ("base", "union", "evaluation"):
            ours, alone = (Path(folder) / stage / "record.json" for folder in (cell["folder"], world.folder / "run"))
            one, two = json.loads(ours.read_text()), json.loads(alone.read_text())
            assert one["key"] == two["key"]
            assert one["outputs"] == two["outputs"]
            assert one["summary"] == two["summary"]
    assert [cell["row"] for cell in report["cells"]] == ["20", "50", "60"]


def test_tables_and_pictures_are_written_and_shown(world: World) -> None:
    outcome = world.scaseg("ablate", "pseudo-seen", "--values", "10")
    assert outcome.code == 0
    assert "(COCO) hPQ %" in outcome.out
    assert "wrote run/ablations/pseudo-seen: results, effects, plot" in outcome.err
    names = sorted(path.name for path in (ablations(world) / "pseudo-seen").iterdir())
    tables = [f"{stem}{kind}" for stem in ("effects", "results") for kind in (".csv", ".json", ".md", ".tex")]
    assert names == sorted([*tables, "plot.png", "plot.svg"])
    rows = json.loads((ablations(world) / "pseudo-seen" / "results.json").read_text())["rows"]
    assert [row["row"] for row in rows] == ["0", "10"]


def test_seeds_give_mean_and_spread(world: World) -> None:
    (report,) = ablate(world, "increment", "--values", "0.0", "--seeds", "0,1")["ablations"]
    assert len(report["cells"]) == 4
    row = report["tables"][0]["rows"][0]
    assert row["spq_spread"] is not None
    found = [
        json.loads((Path(cell["folder"]) / "evaluation" / "record.json").read_text())["summary"]["inductive"]
        for cell in report["cells"]
        if cell["row"] == "0"
    ]
    assert row["spq"] == pytest.approx(sum(summary["seen"]["pq"] for summary in found) / 2)


def test_a_failed_cell_stops_no_other_and_the_exit_code_says_so(world: World) -> None:
    (world.folder / "sweeps").mkdir()
    (world.folder / "sweeps" / "mine.yaml").write_text(FAILING)
    outcome = world.scaseg("ablate", "mine", "pseudo-seen", "--json")
    assert outcome.code == 3
    report = json.loads(outcome.out)
    assert report["num_failed"] == 1
    mine, other = report["ablations"]
    (failure,) = mine["failures"]
    assert (failure["row"], failure["reason"].split(",")[0]) == ("without", "the recipe needs generated embeddings")
    assert "cat.generator" in Path(failure["log"]).read_text()
    assert {row["row"]: row["seeds"] for row in mine["tables"][0]["rows"]}["three"] == "1 of 1"
    assert other["failures"] == []
    again = world.scaseg("ablate", "mine", "pseudo-seen", "--json")
    assert (again.code, json.loads(again.out)["num_run"]) == (3, 0)
    assert "1 cell failed; the same command tries it again" in again.err


def test_what_is_mended_runs_and_nothing_else(world: World) -> None:
    (world.folder / "mine.yaml").write_text(
        "title: T\nvaries: [embeddings.templates]\nvalues: [own.txt, vild]\nsettings: [inductive]\n"
    )
    outcome = world.scaseg("ablate", "mine.yaml", "--json")
    assert outcome.code == 3
    report = json.loads(outcome.out)
    assert (report["num_failed"], report["num_run"]) == (1, 3)  # embeddings, base and evaluation of vild
    (world.folder / "own.txt").write_text("a {}.\n")
    assert ablate(world, "mine.yaml")["num_run"] == 3


def test_the_folder_can_be_moved_and_the_run_changed_without_losing_a_result(world: World) -> None:
    ablate(world, "pseudo-seen", "--values", "10")
    assert world.scaseg("run", "--set", "union.pseudo_unseen=3").code == 0
    assert ablate(world, "pseudo-seen", "--values", "10")["num_run"] == 0
    (world.folder / "run").rename(world.folder / "moved")
    assert ablate(world, "pseudo-seen", "--values", "10", "-w", "moved")["num_run"] == 0


def test_a_dry_run_says_what_would_run_and_writes_nothing(world: World) -> None:
    plan = ablate(world, "null-embedding", "gamma", "--dry-run")
    assert not ablations(world).exists()
    assert (plan["num_run"], plan["num_shared"]) == (3 + 2 * 5, 7)
    assert [row["stage"] for row in plan["stages"]][:2] == ["split", "embeddings"]
    assert plan["seconds"] > 0
    assert {row["runs"] for row in plan["cells"]} == {
        None,
        "cat, union, evaluation",
        "base, queries, cat, union, evaluation",
    }
    shown = world.scaseg("ablate", "null-embedding", "--dry-run")
    assert "would run 14 stages" in " ".join(shown.out.split())


def test_the_list_is_shown_and_can_be_read_by_a_program(world: World) -> None:
    rows = ablate(world, "list")["rows"]
    assert len(rows) == 17
    assert "bank-size" in world.scaseg("ablate", "list").out


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (("bank-sise",), ("there is no ablation 'bank-sise'", "Did you mean bank-size")),
        (("bank-size", "--values", "-3"), ("ablation bank-size, cell '-3'", "greater than or equal to 0")),
        (("bank-size", "--values", ""), ("names no value",)),
        (("bank-size", "--seeds", "0,x"), ("--seeds '0,x' is not a list",)),
        (("bank-size", "--seeds", ""), ("--seeds '' is not a list",)),
        (("increment", "--setting", "transductive"), ("no row in the transductive setting",)),
        (("gamma", "--set", "base.iterations=3"), ("base was made by another recipe", "--work-dir")),
        (("gamma", "--gpus", "64"), ("CUDA devices, 64 were requested",)),
        (("mine.yaml",), ("sweep mine.yaml has 1 mistake", "did you mean 'values'")),
    ],
)
def test_mistakes_are_told_and_nothing_is_lost(
    world: World, arguments: tuple[str, ...], saying: tuple[str, ...]
) -> None:
    (world.folder / "mine.yaml").write_text("title: T\nvaries: [base.v2c.gamma]\nvallues: [1.0]\n")
    world.refuses("ablate", *arguments, saying=saying)
    assert not ablations(world).exists()
