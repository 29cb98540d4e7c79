"""The model card of a run: what it is, what made it, what it scores, and whose licences apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaseg_cli.recipe.yaml_text import write_yaml
from scaseg_cli.results.table import Table, read_table
from scaseg_cli.tasks import task_of
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.classes import ClassList


def result_table(recipe: Recipe, run: RunDir) -> Table | None:
    """Read the run's result table; None if this recipe has not been evaluated."""
    from scaseg_cli.stages import is_done

    return read_table(run.results_file) if is_done(recipe, run, "evaluation") else None


def card_facts(recipe: Recipe, run: RunDir, classes: ClassList) -> dict[str, Any]:
    """Return the card's facts: its YAML header."""
    table = result_table(recipe, run)
    weights = recipe.base.init or recipe.base.backbone.checkpoint
    return {
        "library_name": "scaseg",
        "pipeline_tag": "image-segmentation",
        "scaseg": {
            "version": __version__,
            "recipe": recipe.name,
            "task": recipe.task,
            "seed": recipe.seed,
            "setting": recipe.evaluation.setting,
            "seen_classes": classes.num_seen,
            "unseen_classes": len(classes) - classes.num_seen,
            "text_encoder": recipe.embeddings.encoder if recipe.embeddings.encoder != "clip" else recipe.clip.model,
            "started_from": weights,
            "data": recipe.data.root if recipe.data.shapes is None else "embedded world of drawn shapes",
        },
        "figures": None if table is None else table.as_json_value()["rows"],
    }


def card_text(recipe: Recipe, run: RunDir, classes: ClassList, use: str = "") -> str:
    """Write the model card as Markdown with a YAML header.

    Args:
        recipe: the run's recipe.
        run: the run folder.
        classes: the run's classes.
        use: Markdown on how the file is used, as a section of its own.
    """
    facts = card_facts(recipe, run, classes)
    table = result_table(recipe, run)
    parts = [f"---\n{write_yaml(facts)}---\n", f"# {recipe.name}: {task_of(recipe).title}\n"]
    parts.append(
        f"Made by scaseg {__version__}: Mask2Former aligned with CLIP by Semantic-Centric Alignment. It segments "
        "classes by their names. It was trained on the seen classes; no training image showed the unseen ones.\n"
    )
    parts.append(table.to_markdown() if table is not None else "The run has not been evaluated with this recipe.\n")
    if use:
        parts.append(f"## Use\n\n{use}\n")
    names = classes.names
    parts.append(f"## Classes\n\nSeen: {', '.join(names[: classes.num_seen])}.\n")
    parts.append(f"Unseen: {', '.join(names[classes.num_seen :])}.\n")
    parts.append(
        "## Licences\n\nscaseg is licensed under Apache 2.0. The weights derive from the training images and from the "
        f"weights that the training started from ({facts['scaseg']['started_from']}; names were embedded by "
        f"{facts['scaseg']['text_encoder']}), whose own licences apply: check them before you pass the file on.\n"
    )
    return "\n".join(parts)
