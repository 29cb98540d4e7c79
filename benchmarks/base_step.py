"""Compare a training step of stage 1 with one of MMDetection's plain Mask2Former on the same images.

    python benchmarks/base_step.py --device cuda --size published

The plain network has a linear class head and no alignment with CLIP; sizes, losses and optimizer are the same. Weights
are random and images synthetic, neither of which changes the time. A step is that of training: preprocessing, forward,
backward, update.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from matching_before import match_as_before
from measuring import Goal, Outcome, in_turns, machine_of, prepare, run_benchmark, seconds_of
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from scenes import scene
from torch import nn

from scaseg_cli.base.augmentation import panoptic_segments, training_view
from scaseg_cli.base.backbones import IMAGENET_MEAN, IMAGENET_STD, resnet_maps
from scaseg_cli.base.dataset import collate
from scaseg_cli.base.mask2former import head_config, matching_config, resnet_config
from scaseg_cli.base.network import build_network
from scaseg_cli.base.precision import wrapper_type
from scaseg_cli.clip.load import load_clip
from scaseg_cli.recipe import load_recipe
from scaseg_cli.tasks import ZPS

from mmdet.models import DetDataPreprocessor  # isort: skip  after network, which makes mmdet's models importable
from mmdet.models.backbones import ResNet  # isort: skip
from mmdet.models.dense_heads import Mask2FormerHead  # isort: skip
from mmdet.models.detectors import Mask2Former  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmdet.structures.mask import BitmapMasks  # isort: skip

if TYPE_CHECKING:
    import argparse

    from scaseg_cli.recipe.base_section import Base
    from scaseg_cli.recipe.schema import Recipe

RECIPES = {"small": "shapes-zps", "published": "coco-zps"}
NUM_SEEN = {"small": 32, "published": 119}
PER_GPU = 2  # the published batch of 16 images on the eight GPUs of the published recipe
ON_CPU = {"small": 8, "published": 1}
FORMS = ("TF32", "bf16", "compiled")  # of the step with V2C on a GPU


def recipe_of(size: str) -> Recipe:
    """Load the shipped recipe of this size, with random weights."""
    changes = ["base.backbone.checkpoint=null", "threads=null"]
    return load_recipe(RECIPES[size], (*changes, *(["clip.checkpoint=null"] if size == "published" else [])))


def make_batch(base: Base, num_images: int, num_seen: int) -> dict[str, Any]:
    """Make a batch of training views as stage 1 does."""
    class_ids = {number + 1: number for number in range(num_seen)}
    samples = []
    for image_id in range(num_images):
        image, label, record = scene(image_id, base.crop, base.crop, list(class_ids))
        segments = panoptic_segments(record, label, class_ids, num_seen)
        samples.append(training_view(image, segments, base.crop, image_id))
    return collate(samples)


def as_mmdetection_loads(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the same batch with its masks in the form of MMDetection's own pipeline."""
    samples = []
    for sample in batch["data_samples"]:
        masks = sample.masks().numpy().astype("uint8")
        other = DetDataSample(metainfo={"img_shape": sample.view_shape, "image_id": sample.image_id})
        other.gt_instances = InstanceData(labels=sample.labels, masks=BitmapMasks(masks, *masks.shape[1:]))
        samples.append(other)
    return {"inputs": batch["inputs"], "data_samples": samples}


def plain_network(base: Base, num_seen: int) -> nn.Module:
    """Build MMDetection's unchanged Mask2Former with the same sizes."""
    config = ConfigDict(
        backbone={"type": ResNet, **resnet_config(base.backbone)},
        panoptic_head={"type": Mask2FormerHead, **head_config(base, resnet_maps(base.backbone), num_seen)},
        panoptic_fusion_head={
            "type": "MaskFormerFusionHead",
            "num_things_classes": num_seen,
            "num_stuff_classes": 0,
            "loss_panoptic": None,
        },
        train_cfg=matching_config(base),
        test_cfg={},
        data_preprocessor={
            "type": DetDataPreprocessor,
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "bgr_to_rgb": False,
        },
    )
    network = Mask2Former(**config)
    if not base.backbone.max_pool:
        network.backbone.maxpool = nn.Identity()
    return network


def our_network(recipe: Recipe, num_seen: int, device: str, aligned: bool) -> nn.Module:
    """Build the network of stage 1, with V2C if ``aligned``."""
    clip = load_clip(recipe.clip).to(device) if aligned else None
    dim = load_clip(recipe.clip).dim if clip is None else clip.dim
    seen_SC = F.normalize(torch.randn(num_seen, dim), dim=1)
    return build_network(recipe.base, seen_SC, clip, ZPS)


def step_of(network: nn.Module, batch: dict[str, Any], base: Base, device: str, form: str = "") -> Any:
    """Return a function that takes one training step through mmengine, as training does."""
    network = network.to(device).train()
    optimizer = {"type": "AdamW", "lr": base.learning_rate, "weight_decay": base.weight_decay, "fused": True}
    clipping = {"max_norm": base.clip_grad, "norm_type": 2}
    own = wrapper_type("bf16" if form == "bf16" else "off", device)
    wrapper = build_optim_wrapper(network, {**own, "optimizer": optimizer, "clip_grad": clipping})

    def step() -> Any:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = form == "TF32"
        return cast("Any", network).train_step(batch, wrapper)

    return step


def measure(options: argparse.Namespace) -> Outcome:
    """Build the networks and time their training steps in turns."""
    prepare(options.device)
    recipe, num_seen = recipe_of(options.size), NUM_SEEN[options.size]
    num_images = PER_GPU if options.device == "cuda" or options.rehearse else ON_CPU[options.size]
    rounds = options.rounds or (20 if options.device == "cuda" or options.size == "small" else 2)
    batch = make_batch(recipe.base, num_images, num_seen)
    torch.manual_seed(0)
    ways: dict[str, tuple[Any, Any]] = {
        "plain": (plain_network(recipe.base, num_seen), as_mmdetection_loads(batch)),
        "without V2C": (our_network(recipe, num_seen, options.device, aligned=False), batch),
        "with V2C": (our_network(recipe, num_seen, options.device, aligned=True), batch),
        "as before": (our_network(recipe, num_seen, options.device, aligned=True), batch),
    }
    match_as_before(ways["as before"][0].head)
    if options.device == "cuda" or options.rehearse:
        for name in FORMS:
            ways[name] = (our_network(recipe, num_seen, options.device, aligned=True), batch)
        ways["compiled"][0].head.compile_parts()
    steps = {name: step_of(network, data, recipe.base, options.device, name) for name, (network, data) in ways.items()}
    timings, unit = in_turns(steps, rounds, options.device), seconds_of(options.device)
    return Outcome(
        benchmark="base_step",
        device=options.device,
        size=options.size,
        ratio_of="step with V2C / plain Mask2Former's",
        ratio=timings.ratio("with V2C", "plain"),
        goal=Goal("at most", 1.1) if options.size == "published" else None,
        figures={
            f"MMDetection's plain Mask2Former, {unit} per step": timings.median("plain"),
            f"cosine classifier without V2C, {unit} per step": timings.median("without V2C"),
            f"with V2C, {unit} per step": timings.median("with V2C"),
            f"with V2C, matched as before, {unit} per step": timings.median("as before"),
            **{f"with V2C, {name} / float32": timings.ratio(name, "with V2C") for name in FORMS if name in ways},
            "without V2C / plain": timings.ratio("without V2C", "plain"),
            "with V2C, now / matched as before": timings.ratio("with V2C", "as before"),
        },
        notes=(
            f"{num_images} image{'s' if num_images > 1 else ''} of {recipe.base.crop} pixels per step, as in the "
            f"recipe {RECIPES[options.size]}; {rounds} steps of each network, alternating. Matched as before: image by "
            "image and layer by layer, with a mask for each segment. The goal for that ratio is at most 0.85.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("A base training step against plain Mask2Former", ("cpu", "cuda"), measure))
