"""The stages: what each depends on, whether its result is up to date and why not, and the results that are kept."""

from scaseg_cli.stages.graph import STAGES, Stage, needs_of, stages_for
from scaseg_cli.stages.keys import has_lists_of, is_done, recipe_key, stage_key
from scaseg_cli.stages.reasons import what_changed
from scaseg_cli.stages.recording import StageSummary, bring_back, recording, require

__all__ = [
    "STAGES",
    "Stage",
    "StageSummary",
    "bring_back",
    "has_lists_of",
    "is_done",
    "needs_of",
    "recipe_key",
    "recording",
    "require",
    "stage_key",
    "stages_for",
    "what_changed",
]
