"""The command line starts quickly, since heavy modules are imported only when a command needs them."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from prediction_files import strips, write_pairs
from typer.main import get_command

from scaseg_cli.cli.evaluate import evaluate
from scaseg_cli.cli.quick_options import convert_quickly

HEAVY = (
    "torch",
    "torchvision",
    "mmcv",
    "mmdet",
    "mmengine",
    "mmseg",
    "open_clip",
    "numpy",
    "matplotlib",
    "cv2",
    "jinja2",
    "sklearn",
    "pydantic",
)

QUICK = tuple(name for name in HEAVY if name not in ("numpy", "cv2"))


def test_scoring_predictions_loads_no_network_and_no_pydantic(tmp_path: Path) -> None:
    """Its start is most of the time where there are few images."""
    write_pairs(tmp_path, [strips("1122", {1: 1, 2: 3}, "1122", {1: 1, 2: 3})])
    files = ["--predictions", f"{tmp_path}/predictions", "--annotations", f"{tmp_path}/labels.json"]
    code = f"""
import sys
from scaseg_cli.cli.app import main
code = main({["evaluate", *files]})
print(code, *[name for name in {QUICK} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "100.0" in done.stdout
    assert done.stderr.split() == ["0"]


OURS = tuple(name for name in HEAVY if name != "pydantic")  # typer itself loads it to show a command's help


@pytest.mark.parametrize("arguments", [["--help"], ["train-base", "--help"], ["report", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """No heavy module is imported. Times are not measured, since they depend on the machine's load."""
    code = f"""
import sys
from scaseg_cli.cli.app import main
code = main({arguments})
print(code, *[name for name in {OURS} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "scaseg" in done.stdout
    assert done.stderr.split() == ["0"]


def test_only_the_command_that_is_used_is_imported() -> None:
    """The import of all others was half of a quick command's start."""
    code = """
import sys
from scaseg_cli.cli.app import main
code = main(["recipe", "list"])
names = {name.removeprefix("scaseg_cli.cli.") for name in sys.modules if name.startswith("scaseg_cli.cli.")}
print(code, *sorted(names & {"ablate", "evaluate", "predict", "recipe", "report", "run"}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.split() == ["0", "recipe"]


@pytest.mark.parametrize("more", [[], ["--means", "all"], ["--seed", "3", "--per-class"], ["--set", "seed=1"]])
def test_quick_conversion_gives_what_typer_gives(more: list[str]) -> None:
    """Values that are taken as they are have the type and the value that typer's own conversion gives."""
    one = typer.Typer(add_completion=False)
    one.command()(evaluate)
    quick, plain = get_command(one), get_command(one)
    convert_quickly(quick)
    words = ["--predictions", "theirs", "--annotations", "a.json", *more]
    found, expected = (command.make_context("evaluate", list(words)).params for command in (quick, plain))
    assert found == expected
    assert [*map(type, found.values())] == [*map(type, expected.values())]
