"""Where the stages of all cells lie: each result once, in a run folder of its own.

    <work-dir>/ablations/stages/union-0123456789abcdef/
        union/                              the result, with its record
        base -> ../base-fedcba9876543210/base     links to what it was made from
        ...

So two cells that agree on a stage's key share it by construction, whatever ablation they belong to, and every folder
is a run folder that the stages' own functions read and write. A stage that the finished run in the work folder holds
is taken over by hard links: a later run there puts new files in the place of its own and leaves these as they are.
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
_ORIGIN = "shared.json"  # says that a stage was taken over, and from where


@dataclass(frozen=True)
class StageNode:
    """One stage with one key.

    Attributes:
        stage: its name.
        key: what its result depends on.
        recipe: of a cell that needs it; another one of the same key would do.
        earlier: ids of all stages before it, in order.
    """

    stage: str
    key: str
    recipe: Recipe
    earlier: tuple[str, ...]

    @property
    def id(self) -> str:
        """Its name among all nodes, and its folder's."""
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
        """Everything that ablations write."""
        return self.work.path / "ablations"

    def run(self, node: StageNode) -> RunDir:
        """The run folder of a stage."""
        return RunDir(self.folder / "stages" / node.id)

    def state(self, node: StageNode) -> State:
        """Whether a stage is there, could be taken over from the work folder, or is missing. Nothing is written."""
        if is_done(node.recipe, self.run(node), node.stage):
            return "there"
        return "shared" if is_done(node.recipe, self.work, node.stage) else "missing"

    def is_own(self, node: StageNode) -> bool:
        """Whether a stage was made here, and not taken over."""
        return not (self.run(node).path / _ORIGIN).is_file()

    def prepare(self, nodes: dict[str, StageNode], states: dict[str, State]) -> None:
        """Make the folders of ``nodes`` with their links, and take over what the work folder holds.

        Args:
            nodes: by id; with each, all that it needs.
            states: by id.

        Raises:
            ScasegError: a folder cannot be written.
        """
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
    """A relative link, so that the work folder can be moved as a whole."""
    wanted = os.path.relpath(target, place.parent)
    if place.is_symlink() and os.readlink(place) == wanted:
        return
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    place.symlink_to(wanted)


def link_stage(stage: str, donor: RunDir, run: RunDir) -> None:
    """Put a finished stage of ``donor`` into ``run`` too, without a second copy on the disk; the record comes last.

    What a stage records as its output is written in one piece under a new name, never in place, so a later run in one
    folder leaves the other's files as they are. The drawn images record no outputs: all of that folder is linked.
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
