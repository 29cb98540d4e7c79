"""Compare class embeddings through CLIP's text encoder in batches with a plain loop over single prompts.

    python benchmarks/embed_classes.py --device cuda --size published

The published size is COCO-Stuff's 171 classes in 80 templates. The weights are random, which does not change the time.
The loop is timed on a part of the prompts, since all of them would take too long.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from measuring import Outcome, in_turns, machine_of, prepare, run_benchmark, seconds_of

from scaseg_cli.clip.load import load_clip
from scaseg_cli.data.class_lists import coco_stuff
from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.embeddings.prompts import fill, prompt_names, read_templates
from scaseg_cli.recipe.schema import Clip, Embeddings

if TYPE_CHECKING:
    import argparse

NUM_CLASSES = {"small": 3, "published": 171}
NUM_LOOPED = {"small": 24, "published": 240}


def measure(options: argparse.Namespace, model: str = "ViT-B-16", templates: str = "imagenet80") -> Outcome:
    """Time the encoding of the prompts in batches and one by one, in turns."""
    prepare(options.device)
    clip = load_clip(Clip(model=model, checkpoint=None)).to(options.device)
    names = [category.name for category in coco_stuff()][: 1 if options.rehearse else NUM_CLASSES[options.size]]
    texts = read_templates(templates)[: 8 if options.rehearse else None]
    prompts = [fill(template, name) for (name,) in prompt_names(names) for template in texts]
    looped = prompts[:: max(1, len(prompts) // NUM_LOOPED[options.size])]

    def in_batches() -> None:
        encode_classes(clip, names, texts, Embeddings().batch_size)

    def one_by_one() -> None:
        for prompt in looped:
            clip.encode_text([prompt]).cpu()

    rounds = options.rounds or (5 if options.device == "cuda" or options.size == "small" else 1)
    timings = in_turns({"in batches": in_batches, "one by one": one_by_one}, rounds, options.device)
    unit, prompts_per_looped = seconds_of(options.device), len(prompts) / len(looped)
    return Outcome(
        benchmark="embed_classes",
        device=options.device,
        size=options.size,
        ratio_of="speed in batches / one by one",
        ratio=prompts_per_looped * timings.ratio("one by one", "in batches"),
        goal=None,
        figures={
            f"in batches, prompts per {unit}": len(prompts) / timings.median("in batches"),
            f"one by one, prompts per {unit}": len(looped) / timings.median("one by one"),
            f"all prompts in batches, {unit}": timings.median("in batches"),
        },
        notes=(
            f"{model}, {len(names)} classes in {len(texts)} templates: {len(prompts)} prompts in batches of "
            f"{Embeddings().batch_size}; {len(looped)} of them one by one.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("embed-classes against one prompt at a time", ("cpu", "cuda"), measure))
