"""The store of all cells' stages: each result once, in a run folder of its own.

    <work-dir>/ablations/stages/union-0123456789abcdef/
        union/                              the result, with its record
        base -> ../base-fedcba9876543210/base     links to the stages that it was made from
        ...

Cells with the same key of a stage therefore share it, whichever ablation they belong to. Each folder is a run folder
that the stages' own functions read and write. A stage that the finished run in the work folder holds is shared through
hard links. A later run there replaces its own files and leaves these unchanged. The split is taken over again when the
one in the work folder has other lists, and what was made from the older lists is then missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scaseg_cli.files import write_json
from scaseg_cli.recipe import save_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import link_folder, link_stage
from scaseg_cli.stages import is_done, recipe_key

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
        key: hash of the recipe's part in its result.
        recipe: recipe of a cell that needs it; any recipe with the same key gives the same result of the same data.
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
        """Tell whether a stage is there, can be shared from the work folder, or is missing. Nothing is written.

        Before the split has run, what it will write is unknown, and every stage after it is missing.
        """
        recipe, run = node.recipe, self.run(node)
        split = self._split(recipe) if node.stage != "data" else None
        if split is None and node.stage != "data":
            return "missing"
        if is_done(recipe, run, node.stage, split) and (node.stage != "split" or _lists(run) == _lists(split)):
            return "there"
        return "shared" if is_done(recipe, self.work, node.stage, split) else "missing"

    def _split(self, recipe: Recipe) -> RunDir | None:
        """The run folder of the split that the stages of a cell read, preferably the work folder; None: none yet."""
        own = self.run(StageNode("split", recipe_key(recipe, "split"), recipe, ()))
        return next((run for run in (self.work, own) if is_done(recipe, run, "split")), None)

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
                link_folder(run.path / nodes[earlier].stage, self.run(nodes[earlier]).path / nodes[earlier].stage)
            if states[node.id] == "shared":
                self.share(node)
            elif states[node.id] == "missing":
                save_recipe(node.recipe, run.recipe_file)

    def share(self, node: StageNode) -> None:
        """Link a stage of the work folder into its prepared folder."""
        run = self.run(node)
        save_recipe(node.recipe, run.recipe_file)
        write_json(run.path / _ORIGIN, {"from": str(self.work.path)})
        link_stage(node.stage, self.work, run)

    def begin(self, node: StageNode) -> None:
        """Note that a stage is made here from now on, whatever was shared in its folder before."""
        (self.run(node).path / _ORIGIN).unlink(missing_ok=True)


def _lists(run: RunDir | None) -> object:
    return (run.record("split") or {}).get("lists") if run is not None else None
