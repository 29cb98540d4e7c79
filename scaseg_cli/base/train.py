"""Stage 1: train Mask2Former with V2C through mmengine's Runner."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from scaseg_cli import launch
from scaseg_cli.base.aligned import AlignedNetwork
from scaseg_cli.base.device import World, choose_device, join_world, world_size
from scaseg_cli.base.hooks import (
    LearningRate,
    Losses,
    Progress,
    ResumableLoop,
    Seeding,
    learning_rate_factor,
)
from scaseg_cli.base.network import build_network, load_backbone
from scaseg_cli.base.samples import SampleOrder, collate, training_views
from scaseg_cli.base.segmentor import save_base
from scaseg_cli.checkpoints import load_state
from scaseg_cli.clip.load import load_clip
from scaseg_cli.embeddings.store import check_clip, load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Base, Recipe
from scaseg_cli.results.console import say
from scaseg_cli.results.report import Report
from scaseg_cli.results.table import Column, Table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import read_classes
from scaseg_cli.stages import recording, require, stage_key
from scaseg_cli.tasks import task_of

NEXT = "scaseg train-cat"


def train_base(recipe: Recipe, run: RunDir) -> Report:
    """Train the segmentor; goes on from the last checkpoint of the same recipe.

    With more than one GPU or process, workers train and this process waits for them.

    Raises:
        ScasegError: an earlier stage is missing, the batch does not divide, a checkpoint is damaged.
    """
    require(recipe, run, "split", "embeddings")
    size = world_size(recipe)
    if recipe.base.batch_size % size:
        raise ScasegError(
            f"base.batch_size {recipe.base.batch_size} does not divide by {size} processes",
            f"Choose a multiple of {size}: --set base.batch_size={size * -(-recipe.base.batch_size // size)}",
        )
    if recipe.base.amp != "off" and recipe.gpus == 0:
        raise ScasegError(f"base.amp {recipe.base.amp} needs a GPU", "--set base.amp=off")
    choose_device(recipe)
    with recording(recipe, run, "base", run.base_file) as summary:
        if size > 1:
            launch.launch_workers(recipe, run, size, "scaseg_cli.base.train:train", "base")
        else:
            train(recipe, run)
        summary["iterations"] = recipe.base.iterations
        summary["losses"] = Losses(run.path / "base" / "losses.csv").last()
    state_file(run).unlink(missing_ok=True)
    columns = [Column("name", "loss", "text"), Column("value", "at the end", "number")]
    rows = [{"name": name, "value": value} for name, value in summary["losses"].items()]
    table = Table("base: losses", columns, rows, [])
    return Report("base", [table], [run.base_file], NEXT, summary)


def state_file(run: RunDir) -> Path:
    """A training's progress, from which it goes on; gone when it has ended."""
    return run.path / "base" / "progress.pt"


def train(recipe: Recipe, run: RunDir) -> None:
    """The training of one process: this one alone, or one of `launch_workers`'."""
    world = join_world(recipe)
    network = _network(recipe, run, world)
    key = stage_key(recipe, "base")
    state = load_state(state_file(run), key)
    start = 0 if state is None else state["iteration"]
    if world.rank == 0 and start:
        say(f"base: going on from iteration {start}")
    with tempfile.TemporaryDirectory(prefix="scaseg-mmengine-") as scratch:
        runner = _runner(recipe, run, world, network, start, scratch)
        runner.register_hook(Progress(state, key, state_file(run), recipe.base, world), priority="LOWEST")
        runner.train()
    if world.rank == 0:
        save_base(run, network, recipe)


def _network(recipe: Recipe, run: RunDir, world: World) -> AlignedNetwork:
    """The network before its first step: the same weights in every process."""
    embeddings = load_embeddings(recipe, run)
    num_seen = read_classes(run).num_seen
    clip = None
    if recipe.base.v2c.enabled:
        clip = load_clip(recipe.clip).to(world.device)
        check_clip(embeddings, clip)
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.base, embeddings.vectors_NC[:num_seen], clip, task_of(recipe))
    load_backbone(network.backbone, recipe.base.backbone.checkpoint)
    return network


def _loader(recipe: Recipe, run: RunDir, world: World, start: int) -> DataLoader:
    base = recipe.base
    views = training_views(recipe, run)
    order = SampleOrder(len(views), base.batch_size, recipe.seed, start, base.iterations, world.rank, world.size)
    return DataLoader(
        views,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=base.workers,
        persistent_workers=base.workers > 0,
    )


def _runner(recipe: Recipe, run: RunDir, world: World, network: nn.Module, start: int, scratch: str) -> Any:
    """mmengine's Runner without its own checkpoints and logs: ours resume exactly and load with weights_only.

    What it writes of its own accord goes to ``scratch``.
    """
    import mmengine.device.utils as mmengine_device
    from mmengine.logging import MMLogger
    from mmengine.model import MMDistributedDataParallel
    from mmengine.runner import Runner

    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch|mmengine|mmdet")
    mmengine_device.DEVICE = world.device.type  # it would take a GPU wherever there is one
    base = recipe.base
    network = network.to(world.device)
    if world.size > 1:
        devices = None if world.device.type == "cpu" else [world.device.index]
        network = MMDistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)
    off = dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"))
    runner = Runner(
        model=network,
        work_dir=scratch,
        train_dataloader=_loader(recipe, run, world, start),
        train_cfg={"type": ResumableLoop, "max_iters": base.iterations, "start": start},
        optim_wrapper=_optimiser(base),
        default_hooks=off,
        custom_hooks=[
            Seeding(recipe.seed, world),
            LearningRate(lambda iteration: learning_rate_factor(base, iteration)),
            Losses(run.path / "base" / "losses.csv", base.log_every, start, world),
        ],
        visualizer={"type": "Visualizer", "vis_backends": []},
        launcher="pytorch" if world.size > 1 else "none",
        randomness={"seed": recipe.seed},
        log_level="ERROR",
        experiment_name=f"{recipe.name}-{run.path.name}-{start}",
        default_scope="mmdet",
    )
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    return runner


def _optimiser(base: Base) -> dict[str, Any]:
    """AdamW with Mask2Former's groups: a slower backbone, no decay for norms and query embeddings."""
    without_decay = {"lr_mult": 1.0, "decay_mult": 0.0}
    wrapper: dict[str, Any] = {
        "type": "OptimWrapper" if base.amp == "off" else "AmpOptimWrapper",
        "optimizer": {"type": "AdamW", "lr": base.learning_rate, "weight_decay": base.weight_decay},
        "paramwise_cfg": {
            "custom_keys": {
                "backbone": {"lr_mult": base.backbone_rate, "decay_mult": 1.0},
                "query_embed": without_decay,
                "query_feat": without_decay,
                "level_embed": without_decay,
            },
            "norm_decay_mult": 0.0,
        },
    }
    if base.amp != "off":
        wrapper["dtype"] = {"bf16": "bfloat16", "fp16": "float16"}[base.amp]
    if base.clip_grad:
        wrapper["clip_grad"] = {"max_norm": base.clip_grad, "norm_type": 2}
    return wrapper
