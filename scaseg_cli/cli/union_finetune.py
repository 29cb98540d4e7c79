"""`scaseg union-finetune`."""

from __future__ import annotations

from scaseg_cli.cli.options import NodeOptions, with_options


@with_options
def union_finetune(options: NodeOptions) -> None:
    """Stage 3: fine-tune the class projector on real seen and generated unseen query embeddings together.

    Snapshots are compared on the selection images, which several GPUs, processes or nodes divide; the best and the last
    are kept. A control is fine-tuned in the same way without generated embeddings, which shows what the generator adds.

    Reads the base model, the query embeddings, the generator and the selection images. Writes best.safetensors,
    best_increment.safetensors, last.safetensors, control.safetensors and choices.json into union/ of the run folder.

    Example: `scaseg union-finetune --set union.pseudo_unseen=100`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "union", pipeline.union_finetune)
