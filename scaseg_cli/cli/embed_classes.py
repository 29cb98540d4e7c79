"""`scaseg embed-classes`."""

from __future__ import annotations

from scaseg_cli.cli.options import StageOptions, with_options


@with_options
def embed_classes(options: StageOptions) -> None:
    """Turn the names of all classes, seen and unseen, into semantic embeddings with CLIP's text encoder.

    A class's embedding is the mean over the recipe's text templates. CLIP's weights come from clip.checkpoint: a file,
    or a tag of open_clip, which is downloaded once.

    Reads the split. Writes embeddings/embeddings.safetensors into the run folder.

    Example: `scaseg embed-classes --set embeddings.templates=vild`
    """
    from scaseg_cli import pipeline
    from scaseg_cli.cli.running import run_stage

    run_stage(options, "embeddings", pipeline.embed_classes)
