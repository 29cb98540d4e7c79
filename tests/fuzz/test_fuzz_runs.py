"""Files of a run folder that somebody changed: status and report say which one, and go on with the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from cases import assert_succeeds_or_explains, cases
from hypothesis import given
from hypothesis import strategies as st
from mutations import as_json, mutated, mutated_bytes, mutated_text
from PIL import Image
from report_runs import write_run
from safetensors import safe_open
from safetensors.torch import save

from scaseg_cli.ablations.ablate import make_ablations
from scaseg_cli.ablations.plan import make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.checkpoints import save_tensors
from scaseg_cli.comparison.finished_run import open_run
from scaseg_cli.embeddings.encoders import vector_source
from scaseg_cli.embeddings.store import ClassEmbeddings, load_embeddings, save_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, write_json
from scaseg_cli.html_report.content import gather
from scaseg_cli.html_report.page import render
from scaseg_cli.html_report.survey import GENERATED, KIND, kept_survey
from scaseg_cli.pipeline import split_dataset, stage_states
from scaseg_cli.recipe import load_recipe, recipe_of
from scaseg_cli.results.table import read_table, write
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set

SMALL = tuple(f"data.shapes.num_{name}" for name in ("train=6", "selection=2", "validation=2"))
RECIPE = load_recipe("shapes-zps", SMALL)
RUN = RunDir(Path("run"))
FIGURE = {"model": "method", "step": 4, "increment": 0.5, "seen": 0.5, "unseen": 0.25, "harmonic": 0.33}
CHOICES = {
    "measure": "pq",
    "figures": [FIGURE, {**FIGURE, "model": "base", "step": 0}, {**FIGURE, "model": "control"}],
    "chosen": {"method": FIGURE, "method_increment": FIGURE, "base": {**FIGURE, "model": "base"}, "control": None},
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" viewBox="0 0 9 9"><g id="a"><text x="1">b</text></g></svg>'
FILES = (
    "recipe.yaml", "split/classes.json", "split/images.json", "base/losses.csv", "cat/curve.json", "union/choices.json",
    "evaluation/results.json", "evaluation/per-class.json", "evaluation/examples.png", "visualization/first.png",
    "embeddings/embeddings.safetensors", "report/look.safetensors", "ablations/gamma/results.json",
    "ablations/gamma/effects.json", "ablations/gamma/plot.svg", "ablations/stages/base-0/base/record.json",
    *(f"{stage}/record.json" for stage in ("data", "split", "embeddings", "base", "queries", "cat", "union")),
    *("evaluation/record.json",) * 3,
)  # fmt: skip


def _make_world() -> dict[str, bytes]:
    """A finished run in run/: split and embeddings as their stages write them, and what report reads of the others."""
    split_dataset(RECIPE, RUN)
    names = read_classes(RUN).names
    vectors = torch.eye(len(names))
    save_embeddings(RUN.embeddings_file, ClassEmbeddings(names, vectors, "a" * 64, vector_source(RECIPE), ("a {}.",)))
    write_run(RUN, RECIPE)
    (RUN.path / "base" / "losses.csv").write_text("iteration,loss,loss_cls,d0.loss_cls\n0,9.5,1,1\n20,4,0.5,2\n")
    write_json(RUN.path / "cat" / "curve.json", [{"iteration": i, "total": 1.5, "mmd": 0.5} for i in (1, 2)])
    write_json(RUN.choices_file, CHOICES)
    ablation = RUN.path / "ablations" / "gamma"
    for name in ("results", "effects"):
        write(read_table(RUN.results_file), ablation, name)
    (ablation / "plot.svg").write_text(SVG)
    write_json(RUN.path / "ablations" / "stages" / "base-0" / "base" / "record.json", {"key": "x", "outputs": {}})
    for path in (RUN.examples_file, RUN.visualization_file("first", ".png")):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3)).save(path)
    tensors = {f"votes-{name}": torch.ones(4, 5, dtype=torch.int64) for name in ("inductive", "transductive")}
    tensors |= {"real": torch.rand(6, 3), "real-ids": torch.tensor([0, 1, 2, 2, 3, 3])}
    tensors |= {
        "generated": torch.rand(2 * GENERATED, 3),
        "generated-ids": torch.arange(2).repeat_interleave(GENERATED) + 2,
    }
    meta = {"key": RUN.record("evaluation")["key"], "version": 1, "images": 4, "there": 4, "seen": 2}
    save_tensors(RUN.survey_file, KIND, tensors | {"map": torch.rand(0, 2)}, meta)
    return {name: (RUN.path / name).read_bytes() for name in FILES}


def _odd(draw: Any, name: str, content: bytes) -> bytes:
    if name.endswith(".json") and draw(st.integers(0, 3)):
        return as_json(draw(mutated(json.loads(content)))).encode("utf-8", "surrogatepass")
    if name.endswith(".safetensors") and draw(st.integers(0, 3)):
        return _other_header(draw, content)
    if name.endswith((".png", ".safetensors")):
        return draw(mutated_bytes(content))
    return draw(mutated_text(content.decode())).encode("utf-8", "surrogatepass")


def _other_header(draw: Any, content: bytes) -> bytes:
    """The same kind of file with other metadata, or with tensors of other names and shapes."""
    path = Path("other.safetensors")
    path.write_bytes(content)
    with safe_open(path, "pt") as file:
        tensors, meta = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    header = json.loads(meta["scaseg"])
    kind = {"kind": header.pop("kind")} if draw(st.integers(0, 2)) else {}
    header = draw(mutated(header))
    name = draw(st.sampled_from(sorted(tensors)))
    match draw(st.integers(0, 7)):
        case 0:
            del tensors[name]
        case 1:
            tensors[name] = tensors[name][:1].clone()
        case 2:
            tensors[name] = tensors[name].flatten().clone()
        case 3:
            tensors[name] = tensors[name].to(torch.int64) - 7
    other = {**kind, **header} if isinstance(header, dict) else header
    return save(tensors, {**meta, "scaseg": as_json(other).replace("\\ud7ff", "?")})


def _adopt() -> None:
    """Let the evaluation's record say that its tables are as it wrote them, so that they are read."""
    record = json.loads(RUN.record_file("evaluation").read_text())
    for name in record["outputs"]:
        record["outputs"][name] = {"sha256": hash_file(RUN.path / name), "bytes": (RUN.path / name).stat().st_size}
    write_json(RUN.record_file("evaluation"), record)


def _report(with_page: bool) -> None:
    finished = open_run("run", RUN.path, recipe_of(RUN.path))
    kept_survey(finished, 4)
    content = gather(finished, 0)
    content.as_json_value()
    if with_page:
        render([content], [])


def _plan() -> None:
    plan = make_plan(make_ablations(["increment"], RECIPE), Store(RUN))
    plan.estimate(plan.missing)


@given(data=st.data())
@cases()
def test_run_folders(data: Any) -> None:
    world = _WORLDS.get(str(Path.cwd())) or _WORLDS.setdefault(str(Path.cwd()), _make_world())
    names = data.draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=2, unique=True))
    odd = {name: _odd(data.draw, name, world[name]) for name in names}
    seldom = data.draw(st.integers(0, 31))  # a page takes a second

    def look() -> None:
        refusals = []
        for read in (
            lambda: stage_states(RECIPE, RUN).as_json_value(),
            lambda: _report(with_page=seldom == 0),
            lambda: load_embeddings(RECIPE, RUN),
            lambda: open_set(RECIPE, RUN, "validation"),
            *([_plan] if seldom == 1 else []),
        ):
            try:
                read()
            except ScasegError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    try:
        for name, content in odd.items():
            (RUN.path / name).write_bytes(content)
        if "evaluation/record.json" not in odd:
            _adopt()
        assert_succeeds_or_explains("run folders", look)
    finally:
        for name in {*names, "evaluation/record.json"}:
            (RUN.path / name).write_bytes(world[name])


_WORLDS: dict[str, dict[str, bytes]] = {}
