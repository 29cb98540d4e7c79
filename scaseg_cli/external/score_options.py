"""What a user may choose about scoring predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ScoreOptions:
    """What a user may choose about scoring predictions.

    Attributes:
        json_file: the JSON of the predictions; None: see `read_predictions`.
        only_predicted: score the images that have a prediction, in place of refusing when some have none.
        means: "present" leaves classes in neither labels nor predictions out of the means; "all" counts them as 0.
    """

    json_file: Path | None = None
    only_predicted: bool = False
    means: Literal["present", "all"] = "present"
