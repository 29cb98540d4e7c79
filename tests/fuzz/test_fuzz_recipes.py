"""Recipes, sweeps and `--set` that are odd in a few places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from cases import assert_succeeds_or_explains, cases
from hypothesis import given
from hypothesis import strategies as st
from mutations import ODD, ODD_TEXT, as_yaml, mutated, mutated_text

from scaseg_cli.ablations.find import find_sweep, sweep_files
from scaseg_cli.pipeline import stage_states
from scaseg_cli.recipe import load_recipe, recipe_text
from scaseg_cli.recipe.load import shipped_folder
from scaseg_cli.run_dir import RunDir

OWN = """extends: shapes-zps
name: mine
seed: 3
data: {root: data, shapes: null, train: {images: train, annotations: train.json, labels: train}}
split: {unseen: [red ring, blue stripes]}
clip: {checkpoint: weights.pt}
base: {iterations: 10, learning_rate: 1e-4, amp: "off", v2c: {gamma: 2.0}, steps: [0.8, 0.9]}
embeddings: {templates: templates.txt}
evaluation: {increments: [0.0, 1.5], setting: both}
"""
TEXTS = {"own": OWN, **{path.stem: path.read_text() for path in sorted(shipped_folder().glob("*.yaml"))}}
WHOLE = {name: yaml.safe_load(recipe_text(load_recipe(name))) for name in ("shapes-zps", "coco-zss")}
SWEEPS = {name: path.read_text() for name, path in sweep_files().items()}


def _use(name: str, changes: tuple[str, ...] = ()) -> None:
    """Read a recipe as every command does, and look at the files that it names."""
    recipe = load_recipe(name, changes)
    stage_states(recipe, RunDir(recipe.folder))


def _written(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8", errors="surrogatepass")
    return name


@given(data=st.data())
@cases(share=2)
def test_recipes(data: Any) -> None:
    if data.draw(st.booleans()):
        text = as_yaml(data.draw(mutated(data.draw(st.sampled_from([yaml.safe_load(OWN), *WHOLE.values()])))))
    else:
        text = data.draw(mutated_text(TEXTS[data.draw(st.sampled_from(sorted(TEXTS)))]))
    assert_succeeds_or_explains("recipes", lambda: _use(_written("mine.yaml", text)))


@given(data=st.data())
@cases(share=2)
def test_sweeps(data: Any) -> None:
    text = SWEEPS[data.draw(st.sampled_from(sorted(SWEEPS)))]
    odd = (
        as_yaml(data.draw(mutated(yaml.safe_load(text)))) if data.draw(st.booleans()) else data.draw(mutated_text(text))
    )
    assert_succeeds_or_explains("recipes", lambda: find_sweep(_written("sweep.yaml", odd)))


def _dotted(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [prefix]
    return [key for name, item in value.items() for key in _dotted(item, f"{prefix}.{name}" if prefix else name)] + [
        prefix
    ]


KEYS = sorted(set(_dotted(WHOLE["shapes-zps"])) - {""})


@given(data=st.data())
@cases()
def test_set(data: Any) -> None:
    changes = []
    for _ in range(data.draw(st.integers(1, 2))):
        key = data.draw(st.sampled_from(KEYS))
        value = data.draw(st.sampled_from([*(as_yaml(odd).strip() for odd in ODD), *ODD_TEXT]))
        change = f"{key}={value}"
        changes.append(data.draw(mutated_text(change)) if data.draw(st.booleans()) else change)
    assert_succeeds_or_explains("--set", lambda: _use(data.draw(st.sampled_from(sorted(WHOLE))), tuple(changes)))
