"""A finished run for other programs: an ONNX graph, or a checkpoint with its configuration; and a model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scaseg_cli.base.backbones import pixel_statistics
from scaseg_cli.base.mmcv_ops import compiled
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.clip_on_masks.use import without_clip
from scaseg_cli.files import write_json, write_text
from scaseg_cli.packing.card import card_text
from scaseg_cli.packing.export_folder import FACTS, MADE_BY, check_place, exported_folder
from scaseg_cli.packing.host_files import CHECKPOINT, CONFIG, class_order, host_of, write_host_files
from scaseg_cli.packing.onnx_graph import DIVISOR, INPUT, OUTPUTS, check_packages, check_size, write_onnx
from scaseg_cli.prediction.model import check_increment, choose_setting, load_predictor
from scaseg_cli.results.console import say
from scaseg_cli.tasks import task_of
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.prediction.model import Model
    from scaseg_cli.prediction.names import Names
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

GRAPH, CARD = "model.onnx", "README.md"


class Wanted(NamedTuple):
    """What is exported of a run; None as for `scaseg predict`.

    Attributes:
        setting: inductive or transductive.
        names: classes.
        increment: added to the logits of unseen classes.
    """

    setting: str | None = None
    names: Names | None = None
    increment: float | None = None


def export_onnx(
    recipe: Recipe,
    run: RunDir,
    output: Path,
    wanted: Wanted | None = None,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the segmentor and its classifier as an ONNX file into a folder; returns the facts of `export.json`.

    Args:
        recipe: the run's recipe.
        run: the run folder.
        output: the folder.
        wanted: the setting, classes and increment.
        size: H, W of the input in pixels; None: a square of ``base.eval_size``, rounded up to a multiple of 32.
        overwrite: whether an older export is replaced.

    Raises:
        ScasegError: a package or a stage is missing, the size does not fit, or the folder may not be written.
    """
    check_packages()
    check_place(output, overwrite)
    if size is None:
        size = (-(-recipe.base.eval_size // DIVISOR) * DIVISOR,) * 2
    check_size(size)
    model = _model(recipe, run, wanted or Wanted())
    mean, std = pixel_statistics(recipe.base.backbone)
    facts = _facts(model, "onnx", range(len(model.vocabulary.classes)))
    facts |= {
        "input": {"name": INPUT, "type": "uint8", "shape": [1, 3, *size], "colour": "RGB", "values": "0..255"},
        "outputs": dict(zip(OUTPUTS, (_PROBABILITIES, _MASKS), strict=True)),
        "normalisation": {"inside": True, "mean": list(mean), "std": list(std)},
        "resize": {"shorter": recipe.base.eval_size, "longer_at_most": recipe.base.eval_max_size},
    }
    say(f"tracing the network at {size[0]} x {size[1]} pixels")
    with exported_folder(output, overwrite) as folder:
        facts["differences"] = write_onnx(folder / GRAPH, model, size, {f"scaseg.{key}": facts[key] for key in facts})
        _finish(folder, model, run, facts, [GRAPH], _use_of_onnx(model, size))
    differences = ", ".join(f"{key.replace('_', ' ')} {value:.1e}" for key, value in facts["differences"].items())
    say(f"largest difference between onnxruntime and the network: {differences}")
    return facts


def export_host(
    recipe: Recipe,
    run: RunDir,
    output: Path,
    wanted: Wanted | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the segmentor as a checkpoint and a configuration of the task's host; see `export_onnx`.

    Raises:
        ScasegError: a stage is missing, or the folder may not be written.
    """
    check_place(output, overwrite)
    if recipe.base.segmentor != "mask2former":
        raise ScasegError(
            f"this run's segmentor is {recipe.base.segmentor}, and --format mmdet writes a Mask2Former",
            "Use --format onnx, which takes any segmentor.",
        )
    model = _model(recipe, run, wanted or Wanted())
    host = host_of(recipe)
    facts = _facts(model, host.scope, class_order(model))
    with exported_folder(output, overwrite) as folder:
        _finish(folder, model, run, facts, write_host_files(folder, model), _use_of_host(model))
    return facts


def next_command(facts: dict[str, Any], output: Path, recipe: Recipe) -> str:
    """A command that loads the export, and says what is in it."""
    if facts["format"] == "onnx":
        return (
            f"python -c \"import onnxruntime; s = onnxruntime.InferenceSession('{output / GRAPH}'); "
            'print([(one.name, one.shape) for one in s.get_inputs() + s.get_outputs()])"'
        )
    host = host_of(recipe)
    operators = "" if compiled() else "from scaseg_cli.base import mmcv_ops; mmcv_ops.install(); "
    return (
        f'python -c "{operators}from {host.scope}.apis import {host.load} as load; '
        f"print(load('{output / CONFIG}', '{output / CHECKPOINT}', device='cpu').dataset_meta)\""
    )


def _model(recipe: Recipe, run: RunDir, wanted: Wanted) -> Model:
    if wanted.increment is not None:
        check_increment(wanted.increment, "--increment")
    if recipe.evaluation.clip_on_masks != "none":
        say("the export is without CLIP on masks, which sees the image itself")
        recipe = without_clip(recipe)
    model = load_predictor(recipe, run, choose_setting(run, wanted.setting), "cpu").over(wanted.names)
    return model if wanted.increment is None else model.with_increment(wanted.increment)


def _facts(model: Model, kind: str, order: Any) -> dict[str, Any]:
    evaluation = model.recipe.evaluation
    vocabulary = model.vocabulary
    facts: dict[str, Any] = {
        "made_by": MADE_BY,
        "version": __version__,
        "format": kind,
        "recipe": model.recipe.name,
        "task": model.recipe.task,
        "setting": model.candidate.name,
        "increment": model.candidate.increment,
        "classes": [
            {
                "name": vocabulary.classes[k].name,
                "isthing": vocabulary.classes[k].isthing,
                "seen": vocabulary.classes[k].seen,
            }
            for k in order
        ],
    }
    if task_of(model.recipe).labels == "panoptic":
        facts["fusion"] = {
            "object_threshold": evaluation.object_threshold,
            "overlap_threshold": evaluation.overlap_threshold,
        }
    return facts


def _finish(folder: Path, model: Model, run: RunDir, facts: dict[str, Any], files: list[str], use: str) -> None:
    from scaseg_cli.split.classes import read_classes

    facts["files"] = [*files, FACTS, CARD]
    write_json(folder / FACTS, facts)
    note = f"This export is the {model.candidate.name} model; `{FACTS}` lists its classes in their order.\n\n"
    write_text(folder / CARD, card_text(model.recipe, run, read_classes(run), note + use))


_PROBABILITIES = (
    "float32 [1, queries, classes + 1]: class probabilities of each query, the last class is no-object; the increment "
    "of unseen classes is applied"
)
_MASKS = (
    "float32 [1, queries, h, w]: mask logits of each query; resized bilinearly to the input's size, the sigmoid of a "
    "value is the probability that the pixel is in the query's mask"
)


def _use_of_onnx(model: Model, size: tuple[int, int]) -> str:
    base = model.recipe.base
    fusion = (
        "the panoptic fusion of Mask2Former, with the thresholds in `export.json`"
        if task_of(model.recipe).labels == "panoptic"
        else "a pixel's class: the sum over queries of class probability (without no-object) times mask probability"
    )
    return f"""`{GRAPH}` takes one image of {size[0]} x {size[1]} pixels (height x width), and no other size:

- `{INPUT}`: uint8 [1, 3, {size[0]}, {size[1]}], RGB, 0..255. Normalisation is part of the graph.
- `{OUTPUTS[0]}`: {_PROBABILITIES}.
- `{OUTPUTS[1]}`: {_MASKS}.

scaseg resizes an image to a shorter side of {base.eval_size} pixels, but a longer side of {base.eval_max_size} at most.
An image that is smaller than the input is padded with 0, right and bottom; its masks are cut before they are resized to
the image. More padding than scaseg's own, up to a multiple of {DIVISOR}, changes the result a little.
What makes segments out of both outputs is outside the graph: {fusion}.

```python
import numpy as np
import onnxruntime
from PIL import Image

image = np.asarray(Image.open("image.png").convert("RGB").resize(({size[1]}, {size[0]})))
session = onnxruntime.InferenceSession("{GRAPH}")
probabilities, masks = session.run(None, {{"{INPUT}": image.transpose(2, 0, 1)[None]}})
```"""


def _use_of_host(model: Model) -> str:
    host = host_of(model.recipe)
    order = " Things come before stuff, as MMDetection needs them." if host.scope == "mmdet" else ""
    parts = "the class head, a padding with black" + (
        ", and the backbone" if model.recipe.base.backbone.timm or not model.recipe.base.backbone.max_pool else ""
    )
    return f"""`{CHECKPOINT}` and `{CONFIG}` are for {host.library}.{order} Its class head is one linear layer, into
which the cosine classifier cannot be folded. `{CONFIG}` therefore imports two files that are beside it, with {parts}.
They need no scaseg.

```python
from {host.scope}.apis import {host.segment}, {host.load}

model = {host.load}("{CONFIG}", "{CHECKPOINT}", device="cpu")
result = {host.segment}(model, "image.png")
```

{host.library} needs mmcv with its operators. With mmcv-lite, begin with `from scaseg_cli.base import mmcv_ops` and
`mmcv_ops.install()`."""
