"""Builds mmengine's Runner for stage 1, with its loop, optimizer and hooks."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

from scaseg_cli.base.events import Events
from scaseg_cli.base.hooks import LearningRate, Losses, ResumableLoop, Seeding, learning_rate_factor
from scaseg_cli.base.precision import MergedGroups, wrapper_type
from scaseg_cli.stages import stage_key

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import DataLoader

    from scaseg_cli.base.device import World
    from scaseg_cli.recipe.base_section import Base
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def build_runner(
    recipe: Recipe,
    run: RunDir,
    world: World,
    network: nn.Module,
    loader: DataLoader[dict[str, Any]],
    start: int,
) -> Any:
    """Build the Runner without mmengine's checkpoints and logs; ours resume exactly and load with weights_only.

    Args:
        recipe: the recipe.
        run: the run folder.
        world: this process.
        network: the network, on its device.
        loader: the loader of this process's part of each batch, from iteration ``start`` on.
        start: the first iteration.
    """
    import mmengine.device.utils as mmengine_device
    from mmengine.logging import MMLogger
    from mmengine.model import MMDistributedDataParallel
    from mmengine.runner import Runner

    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch|mmengine|mmdet")
    mmengine_device.DEVICE = world.device.type  # mmengine would use a GPU if there is one
    base = recipe.base
    if world.size > 1:
        devices = None if world.device.type == "cpu" else [world.device.index]
        network = MMDistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)
    off = dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"))
    loop = {"type": ResumableLoop, "max_iters": base.iterations, "start": start, "accumulate": base.accumulate}
    with tempfile.TemporaryDirectory(prefix="scaseg-mmengine-") as unused:  # it writes there while it is made
        runner = Runner(
            model=network,
            work_dir=unused,
            train_dataloader=loader,
            train_cfg=loop,
            optim_wrapper=_optimizer(base, world.device.type),
            default_hooks=off,
            custom_hooks=_hooks(recipe, run, world, start),
            visualizer={"type": "Visualizer", "vis_backends": []},
            launcher="pytorch" if world.size > 1 else "none",
            randomness={"seed": recipe.seed},
            log_level="ERROR",
            experiment_name=f"{recipe.name}-{run.path.name}-{start}",
            default_scope="mmdet",
        )
        _without_file(MMLogger.get_current_instance())
    return runner


def _without_file(logger: logging.Logger) -> None:
    """Stop mmengine's logger, which outlives the Runner, from writing to the Runner's folder."""
    logger.setLevel(logging.ERROR)
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
            handler.close()


def _hooks(recipe: Recipe, run: RunDir, world: World, start: int) -> list[Any]:
    base = recipe.base
    hooks: list[Any] = [
        Seeding(recipe.seed, world),
        LearningRate(lambda iteration: learning_rate_factor(base, iteration)),
        Losses(run.path / "base" / "losses.csv", base, start, world),
    ]
    if world.rank == 0:
        hooks.append(Events(recipe, run, stage_key(recipe, run, "base"), start, world.device))
    return hooks


def _optimizer(base: Base, device: str) -> dict[str, Any]:
    """AdamW with Mask2Former's groups: a lower rate for the backbone, no decay for norms and query embeddings."""
    without_decay = {"lr_mult": 1.0, "decay_mult": 0.0}
    wrapper: dict[str, Any] = {
        **wrapper_type(base.amp, device),
        "constructor": MergedGroups,
        "accumulative_counts": base.accumulate,
        "optimizer": {"type": "AdamW", "lr": base.learning_rate, "weight_decay": base.weight_decay, "fused": True},
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
    if base.clip_grad:
        wrapper["clip_grad"] = {"max_norm": base.clip_grad, "norm_type": 2}
    return wrapper
