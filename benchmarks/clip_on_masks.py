"""Compare what CLIP on masks costs, as crops and pooled, with the segmentor that makes the masks.

    python benchmarks/clip_on_masks.py RUN

RUN is a finished run folder, such as the demo's runs/shapes-zps; it is only read. CPU time is measured, of the network
and of CLIP alone: images are read before, and figures are not counted.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from scaseg_cli.clip.regions import MaskView
from scaseg_cli.evaluation.candidates import probabilities_of
from scaseg_cli.evaluation.clip_on_masks.use import ClipUse, may_be_objects
from scaseg_cli.evaluation.rows import table_rows
from scaseg_cli.evaluation.scored_set import ScoredSet
from scaseg_cli.recipe.load import recipe_of
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from collections.abc import Callable

LOOKS = {"crops": MaskView("crops"), "pooled": MaskView("pooled")}


def measure(folder: Path, at_most: int) -> dict[str, float]:
    """Return the CPU seconds an image of each way, and the ratios."""
    recipe, run = recipe_of(folder, ()), RunDir(folder)
    scored = ScoredSet(recipe, run, "validation")
    candidate = replace(table_rows(recipe, run)[-1].candidate, clip=None)
    num_seen = scored.classes.num_seen
    _ = scored.segmentor, scored.on_masks.clip
    records = scored.images.images[:at_most]
    spent, masks = dict.fromkeys(["segmentor", *LOOKS], 0.0), 0

    def timed(way: str, work: Callable[[], object]) -> None:
        begun = time.process_time()
        work()
        spent[way] += time.process_time() - begun

    with torch.no_grad():
        for batch in scored.batches(records, "measuring"):
            images = [item.image_HW3 for item in batch]
            timed("segmentor", lambda images=images: scored.segmentor.encode(images))  # type: ignore[misc]
            encoded = scored.segmentor.encode(images)
            visual = torch.stack([one.visual_QD for one in encoded])
            masks += int(may_be_objects(probabilities_of(candidate, visual, num_seen)).sum())
            for name, view in LOOKS.items():
                own = replace(candidate, clip=ClipUse(view, 0.4, 0.8))
                regions = scored.regions(batch, encoded)
                timed(name, lambda own=own, r=regions, v=visual: probabilities_of(own, v, num_seen, r))  # type: ignore[misc]
    per_image = {f"{name}, CPU s an image": seconds / len(records) for name, seconds in spent.items()}
    ratios = {f"{name} / segmentor": spent[name] / spent["segmentor"] for name in LOOKS}
    return {"images": len(records), "masks an image": masks / len(records), **per_image, **ratios}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measure(options.run, options.images), indent=1))
