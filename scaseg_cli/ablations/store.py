"""The store of all cells' stages: each result once, in a run folder of its own.

    <work-dir>/ablations/stages/union-0123456789abcdef/
        union/                              the result, with its record
        base -> ../base-fedcba9876543210/base     links to the stages that it was made from
        ...

Cells with the same key of a stage therefore share it, whichever ablation they belong to. Each folder is a run folder
that the stages' own functions read and write. A stage that the finished run in the work folder holds is shared through
hard links. A later run there replaces its own files and leaves these unchanged.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaseg_cli.files import write_json
from scaseg_cli.recipe import save_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

State = Literal["there", "shared", "missing"]
_STAGES = "stages"
_ORIGIN = "shared.json"  # marks a shared stage and names the work folder that it came from


@dataclass(frozen=True)
class StageNode:
    """One stage with one key.

    Attributes:
        stage: the stage's name.
        key: hash of everything that its result depends on.
        recipe: recipe of a cell that needs it; any recipe with the same key gives the same result.
        earlier: ids of all stages before it, in order.
    """

    stage: str
    key: str
    recipe: Recipe
    earlier: tuple[str, ...]

    @property
    def id(self) -> str:
        """The node's unique name, which is also the name of its folder."""
        return f"{self.stage}-{self.key[:16]}"


@dataclass(frozen=True)
class Store:
    """The stages of all ablations over the runs in one work folder.

    Attributes:
        work: the work folder, which may hold a finished run.
    """

    work: RunDir

    @property
    def folder(self) -> Path:
        """The folder of everything that ablations write."""
        return self.work.path / "ablations"

    def run(self, node: StageNode) -> RunDir:
        """Return the run folder of a stage."""
        return RunDir(self.folder / _STAGES / node.id)

    def state(self, node: StageNode) -> State:
        """Tell whether a stage is there, can be shared from the work folder, or is missing. Nothing is written."""
        if is_done(node.recipe, self.run(node), node.stage):
            return "there"
        return "shared" if is_done(node.recipe, self.work, node.stage) else "missing"

    def is_own(self, node: StageNode) -> bool:
        """Tell whether a stage was made here, rather than shared from the work folder."""
        return not (self.run(node).path / _ORIGIN).is_file()

    def prepare(self, nodes: dict[str, StageNode], states: dict[str, State]) -> None:
        """Create the folders of ``nodes`` with their links, and link the shared stages of the work folder.

        Args:
            nodes: nodes by id, including all earlier stages of each.
            states: states by id.

        Raises:
            ScasegError: a folder cannot be written, or is a link that ablations did not make.
        """
        self.work.check_links(self.folder.name)
        RunDir(self.folder).check_links(_STAGES)
        for node in nodes.values():
            run = self.run(node)
            run.folder(node.stage)
            for earlier in node.earlier:
                _link(run.path / nodes[earlier].stage, self.run(nodes[earlier]).path / nodes[earlier].stage)
            if states[node.id] == "there":
                continue
            save_recipe(node.recipe, run.recipe_file)
            if states[node.id] == "shared":
                write_json(run.path / _ORIGIN, {"from": str(self.work.path)})
                link_stage(node.stage, self.work, run)
            else:
                (run.path / _ORIGIN).unlink(missing_ok=True)


def _link(place: Path, target: Path) -> None:
    """Create a relative link, so that the work folder can be moved as a whole."""
    wanted = os.path.relpath(target, place.parent)
    if place.is_symlink() and os.readlink(place) == wanted:
        return
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    place.symlink_to(wanted)


def link_stage(stage: str, donor: RunDir, run: RunDir) -> None:
    """Hard-link a finished stage of ``donor`` into ``run``, the record last, without a second copy on the disk.

    Stages replace their recorded outputs and never write them in place, so a later run in one folder leaves the other's
    files unchanged. The ``data`` stage records no outputs, so all files of its folder are linked.
    """
    source, target = donor.path / stage, run.path / stage
    outputs = [donor.path / name for name in (donor.record(stage) or {})["outputs"]]
    if not outputs:
        outputs = [path for path in source.rglob("*") if path.is_file() and path != donor.record_file(stage)]
    shutil.rmtree(target, ignore_errors=True)
    for path in (*outputs, donor.record_file(stage)):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # a file system without hard links
            shutil.copy2(path, place)
