"""What a run would do, stage by stage: what is up to date, what is kept, and what runs for which reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.stages.graph import STAGES, stages_for
from scaseg_cli.stages.kept import Kept, all_kept, find_kept, key_in_place
from scaseg_cli.stages.keys import is_as_written, key_with, lists_in, lists_of
from scaseg_cli.stages.reasons import sections_then, why_broken, why_other

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

State = Literal["done", "kept", "begun", "stale", "missing", "damaged"]


@dataclass(frozen=True)
class Outlook:
    """What becomes of a stage when the recipe runs.

    Attributes:
        stage: the stage.
        state: "done": up to date; "kept": its finished result is put back; "begun": an interrupted run resumes;
            "stale": the folder's result is of another recipe or other files; "missing": nothing is there; "damaged":
            its record cannot be read.
        why: why it is not up to date; empty if it is, or if the stage never ran.
        seconds: how long it took, here or under another recipe; None: it never ran.
        advice: of a damaged one: what to do.
    """

    stage: str
    state: State
    why: str
    seconds: float | None
    advice: str = ""

    @property
    def runs(self) -> bool:
        """Whether the stage has to run."""
        return self.state not in ("done", "kept")


def outlooks(recipe: Recipe, run: RunDir) -> list[Outlook]:
    """The outlook of each stage that the recipe's evaluation needs, in order. Nothing is written."""
    lists = lists_of(recipe, run)
    kept = all_kept(run)
    found = []
    for stage in stages_for(recipe):
        if stage == "data" and recipe.data.shapes is None:
            continue
        one = _outlook(recipe, run, stage, lists, [other for other in kept if other.stage == stage])
        if stage == "split" and one.state == "kept":
            back = find_kept(run, stage, key_with(recipe, stage, None))
            lists = lists_in(recipe, back.record if back is not None else None)
        found.append(one)
    return found


def _outlook(recipe: Recipe, run: RunDir, stage: str, lists: Mapping[str, str] | None, kept: Sequence[Kept]) -> Outlook:
    key = key_with(recipe, stage, lists if stage not in ("data", "split") else None)
    try:
        record = run.record(stage)
        in_place = key_in_place(run, stage)
    except ScasegError as error:
        return Outlook(stage, "damaged", error.message, None, error.hint or "")
    if record is not None and record["key"] == key:
        whole = all(is_as_written(run.path / name, output) for name, output in record["outputs"].items())
        return Outlook(stage, "done" if whole else "stale", "" if whole else why_broken(run, record), _seconds(record))
    same = next((other for other in kept if other.key == key), None)
    if same is not None and same.is_whole:
        return Outlook(stage, "kept", f"kept since {day(same.modified)}", _seconds(same.record))
    older = record or next((other.record for other in reversed(kept) if other.record is not None), None)
    state: State = "stale" if record is not None else "missing"
    why = why_other(recipe, stage, older, lists, sections_then(run, stage, older)) if older is not None else ""
    unknown = in_place is None and record is None and (run.path / stage).is_dir()
    if in_place == key or same is not None or unknown:
        state, why = "begun", f"it was interrupted{'; ' if why else ''}{why}"
    return Outlook(stage, state, why, _seconds(older))


def _seconds(record: Mapping[str, Any] | None) -> float | None:
    return float(record["seconds"]) if record is not None else None


def day(seconds: float) -> str:
    """A time as a date, such as 2026-11-29 04:15."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def not_this_recipes(recipe: Recipe, run: RunDir) -> list[Kept]:
    """The kept results that ``recipe`` would not put back."""
    lists = lists_of(recipe, run)
    own = set()
    for stage in STAGES:
        key = key_with(recipe, stage, lists if stage not in ("data", "split") else None)
        if stage == "split" and lists is None and (back := find_kept(run, stage, key)) is not None:
            lists = lists_in(recipe, back.record)
        own.add(key)
    return [kept for kept in all_kept(run) if kept.key not in own]
