"""Stage 1: trains Mask2Former with V2C through mmengine's Runner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from scaseg_cli import launch
from scaseg_cli.base.dataset import SampleOrder, collate, training_views
from scaseg_cli.base.device import World, choose_device, join_world, num_processes, world_size
from scaseg_cli.base.events import check_wandb
from scaseg_cli.base.foreign_checkpoint import read_foreign
from scaseg_cli.base.hooks import Progress, last_losses
from scaseg_cli.base.initial_weights import has_backbone, load_initial, tell_initial
from scaseg_cli.base.network import build_network, host_module, load_backbone, synchronise_norms
from scaseg_cli.base.precision import check_precision, half_precision
from scaseg_cli.base.runner import build_runner
from scaseg_cli.base.segmentor import save_base
from scaseg_cli.base.validation import Validation, validation_table
from scaseg_cli.checkpoints import load_state, resuming
from scaseg_cli.clip.load import load_clip
from scaseg_cli.embeddings.store import check_encoder, load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table, read_table, write
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import recording, require, stage_key
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.base.validation import Measure
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

    Train = Callable[[Recipe, RunDir], None]


def train_base(recipe: Recipe, run: RunDir, train_here: Train | None = None) -> StageReport:
    """Train the segmentor, resuming from the last checkpoint of the same recipe.

    Args:
        recipe: the recipe.
        run: the run folder.
        train_here: trains in one process, which may be a worker; a function of a module. None: `train`.

    With several GPUs, processes or nodes, workers train and this process waits for them.

    Raises:
        ScasegError: an earlier stage is missing, the batch size does not divide, or a checkpoint is damaged.
    """
    require(recipe, run, "split", "embeddings")
    check_training(recipe)
    train_here = train if train_here is None else train_here
    tables: list[Table] = []
    with recording(recipe, run, "base", run.base_file) as summary:
        _train(recipe, run, train_here)
        summary["iterations"] = recipe.base.iterations
        summary["losses"] = last_losses(losses_file(run))
        if recipe.base.init is not None:
            tables.append(read_table(run.base_file.with_name("init.json")))
        measured = validation_table(recipe, run)
        if measured is not None:
            summary["selection"] = {
                row["weights"]: {key: value for key, value in row.items() if key != "weights"} for row in measured.rows
            }
    state_file(run).unlink(missing_ok=True)
    columns = [Column("name", "loss", "text"), Column("value", "at the end", "number")]
    rows = [{"name": name, "value": value} for name, value in summary["losses"].items()]
    tables.append(Table("base: losses", columns, rows, []))
    tables += [measured] if measured is not None else []
    following = "scaseg train-cat" if recipe.evaluation.setting != "inductive" else "scaseg evaluate"
    return StageReport("base", tables, [run.base_file], following, summary)


def check_training(recipe: Recipe) -> None:
    """Check that this machine can run the recipe's training.

    Raises:
        ScasegError: GPUs or wandb are missing, the batch size does not divide, or the device lacks the precision.
    """
    base, size = recipe.base, num_processes(recipe)
    parts = size * base.accumulate
    if base.batch_size % parts:
        each = f", base.accumulate {base.accumulate}" if base.accumulate > 1 else ""
        raise ScasegError(
            f"base.batch_size {base.batch_size} is not divisible by {parts}: {size} process{'es' * (size > 1)}{each}",
            f"Choose a multiple of {parts}: --set base.batch_size={parts * -(-base.batch_size // parts)}",
        )
    choose_device(recipe)
    if recipe.gpus == 0:  # GPUs are checked by the training process: the query takes GPU memory
        check_precision(recipe)
    check_wandb(recipe)


def losses_file(run: RunDir) -> Path:
    """Path of losses.csv, which has the losses every ``log_every`` iterations."""
    return run.path / "base" / "losses.csv"


def state_file(run: RunDir) -> Path:
    """Path of the progress file, which exists until training ends."""
    return run.path / "base" / "progress.pt"


def _train(recipe: Recipe, run: RunDir, train_here: Train) -> None:
    """Train, in this process or in workers."""
    if num_processes(recipe) > 1:
        modules = [host_module(task_of(recipe)), "torch._dynamo"]  # the first optimizer imports the latter
        modules += ["open_clip"] if recipe.base.v2c.enabled else []
        name = f"{train_here.__module__}:{train_here.__name__}"
        launch.launch_workers(recipe, run, world_size(recipe), name, "base", modules, joined=True)
    else:
        train_here(recipe, run)


def train(recipe: Recipe, run: RunDir, measure: Measure | None = None) -> None:
    """Train in one process, which is alone or one of `launch_workers`.

    Args:
        recipe: the recipe.
        run: the run folder.
        measure: measures the network on selection images now and then; None: it is not measured.
    """
    world = join_world(recipe)
    check_precision(recipe)
    network = _network(recipe, run, world).to(world.device)
    key = stage_key(recipe, run, "base")
    state = load_state(state_file(run), key)
    start = 0 if state is None else _iteration(state, state_file(run), recipe.base.iterations)
    _check_agreement(recipe, world, key, start)
    if world.rank == 0 and start:
        say(f"base: resuming from iteration {start}")
    runner = build_runner(recipe, run, world, network, _loader(recipe, run, world, start), start)
    runner.register_hook(Progress(state, key, state_file(run), recipe.base, world), priority="LOWEST")
    # after the checkpoint, which an interrupted measurement must not cost
    runner.register_hook(Validation(recipe, run, start, world, measure), priority="LOWEST")
    try:
        runner.train()
    except BaseException:
        runner.call_hook("after_run")  # closes open files
        raise
    if world.rank == 0:
        save_base(run, network, recipe)


def _iteration(state: dict[str, Any], path: Path, iterations: int) -> int:
    """The number of completed iterations in the progress that ``path`` holds."""
    with resuming(path):
        done = int(state["iteration"])
        if not 0 < done <= iterations:
            raise ValueError(f"{done} of {iterations} iterations")
    return done


def _check_agreement(recipe: Recipe, world: World, key: str, start: int) -> None:
    """Check that all processes are about to run the same training.

    Raises:
        ScasegError: number of processes, recipe or progress differ, because nodes were started differently or do not
            share the run folder.
    """
    if world.size != num_processes(recipe):
        raise ScasegError(
            f"{world.size} processes have joined, but the recipe expects {num_processes(recipe)}",
            "Use the same --gpus or --processes on every node.",
        )
    if world.size == 1:
        return
    gathered: list[Any] = [None] * world.size
    torch.distributed.all_gather_object(gathered, (key, start))
    if len({other for other, _ in gathered}) > 1:
        raise ScasegError("the nodes have different recipes or data", "Start the same command on every node.")
    if len({other for _, other in gathered}) > 1:
        starts = ", ".join(str(iteration) for _, iteration in gathered)
        raise ScasegError(
            f"the processes would resume from different iterations: {starts}",
            "Put the run folder on a file system that all nodes share, and start the command again.",
        )


def _network(recipe: Recipe, run: RunDir, world: World) -> AlignedNetwork:
    """Build the network before its first step, with the same weights in every process."""
    embeddings = load_embeddings(recipe, run)
    num_seen = read_classes(run).num_seen
    clip = None
    if recipe.base.v2c.enabled:
        clip = load_clip(recipe.clip).to(world.device)
        check_encoder(embeddings, clip)
        if world.device.type == "cuda":
            clip.compute_in(half_precision(recipe.base.amp))
    torch.manual_seed(recipe.seed)
    seen_SC, synonyms = embeddings.first(num_seen)
    network = build_network(recipe.base, seen_SC, clip, task_of(recipe), synonyms)
    _load_weights(recipe, run, network, world)
    if recipe.base.compile:
        network.head.compile_parts()  # later stages meet images of many sizes, each of which would be compiled
    if recipe.base.backbone.sync_norm:
        synchronise_norms(network, world.device)
    return network


def _load_weights(recipe: Recipe, run: RunDir, network: AlignedNetwork, world: World) -> None:
    """Load the weights that the training starts from."""
    base = recipe.base
    if base.init is None:
        load_backbone(network.backbone, base.backbone.checkpoint)
        return
    checkpoint = read_foreign(Path(base.init))
    if not has_backbone(checkpoint, network):
        load_backbone(network.backbone, base.backbone.checkpoint)
    table = load_initial(network, base, checkpoint)
    if world.rank == 0:
        classes = read_classes(run)
        tell_initial(table, checkpoint, classes.names[classes.num_seen :])
        write(table, run.base_file.parent, "init")


def _loader(recipe: Recipe, run: RunDir, world: World, start: int) -> DataLoader[dict[str, Any]]:
    base = recipe.base
    views = training_views(recipe, run)
    order = SampleOrder(len(views), base.batch_size, recipe.seed, start, base.iterations, world.rank, world.size)
    return DataLoader(
        views,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=base.workers,
        persistent_workers=base.workers > 0,
        pin_memory=world.device.type == "cuda",  # the host then does not wait for the copies
    )
