"""The recipe's section `base`: stage 1 with its backbone and the alignment with CLIP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scaseg_cli.packages import is_packaged
from scaseg_cli.recipe.fields import Count, FilePath, Fraction, NonNegativeReal, Positive, PositiveReal, Rate, Section


class Backbone(Section):
    """Mask2Former's ResNet, or a network of timm."""

    timm: str | None = Field(
        None, description="a network of timm with feature maps at strides 4 to 32, in place of the ResNet"
    )
    depth: Literal[18, 34, 50, 101] = 50
    width: Positive = Field(64, description="channels of the stem and the first stage")
    max_pool: bool = Field(True, description="max-pooling of the stem; off for small images")
    frozen_stages: Annotated[int, Field(ge=-1, le=4)] = Field(
        -1, description="stages that are not trained: 0 the stem, 4 the whole backbone"
    )
    frozen_norm: bool = Field(True, description="keep BatchNorm as loaded, neither trained nor updated")
    sync_norm: bool = Field(False, description="BatchNorm statistics over all processes; needs GPUs")
    checkpoint: FilePath | None = Field(
        "torchvision://resnet50",
        description="pre-trained weights: torchvision://NAME, timm (those of base.backbone.timm), package://NAME of an "
        "installed package, or a file; null: random",
    )

    @model_validator(mode="after")
    def _is_one_network(self) -> Backbone:
        of_timm = self.checkpoint == "timm"
        if self.timm is None:
            if of_timm:
                raise ValueError("checkpoint timm is for a network of timm; name it: timm")
            if is_packaged(self.checkpoint):
                raise ValueError(f"checkpoint {self.checkpoint} is for a network of timm; name it: timm")
            return self
        default = {key: type(self).model_fields[key].default for key in ("depth", "width", "max_pool", "sync_norm")}
        others = [key for key, value in default.items() if getattr(self, key) != value]
        if others:
            back = ", ".join(f"{key}: {str(default[key]).lower()}" for key in others)
            raise ValueError(
                f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} for a ResNet, not for timm's {self.timm}; "
                f"leave out what you set, and set what the recipe has back to {back}"
            )
        if self.checkpoint is not None and self.checkpoint.startswith(("torchvision://", "shapes-backbone")):
            raise ValueError(
                f"checkpoint {self.checkpoint} is a ResNet's; for timm's {self.timm} set timm (its own weights), "
                "a file, package://NAME, or null"
            )
        return self

    @model_validator(mode="after")
    def _synchronises_what_is_trained(self) -> Backbone:
        if self.sync_norm and self.frozen_norm:
            raise ValueError("sync_norm has no effect while frozen_norm is true, which keeps BatchNorm as loaded")
        return self


class V2C(Section):
    """Vision-to-CLIP alignment, which pulls the queries' token towards CLIP's image token."""

    enabled: bool = True
    weight: NonNegativeReal = 1.0
    enhancement: Literal["multiply", "plus", "minus", "literal_plus", "literal_minus"] = Field(
        "multiply", description="what is done with the queries that hold a segment"
    )
    gamma: PositiveReal = 2.0
    bank_size: Count = Field(32, description="CLIP tokens of other images as negatives; 0: plain cosine")
    batch_negatives: bool = Field(False, description="CLIP tokens of the batch's other images as negatives too; ours")
    tau: PositiveReal = 0.07
    views: Literal["complete", "masked", "both"] = "both"


class Base(Section):
    """Stage 1: Mask2Former or MaskFormer with the class projector, the cosine classifier and V2C."""

    segmentor: Literal["mask2former", "maskformer"] = Field(
        "mask2former", description="the segmentor of MMDetection (zps) or MMSegmentation (zss)"
    )
    backbone: Backbone = Backbone()
    init: FilePath | None = Field(
        None,
        description="a Mask2Former to start from: a checkpoint of MMDetection, MMSegmentation or Detectron2; its class "
        "head is left out",
    )
    channels: Positive = 256
    num_queries: Positive = 100
    pixel_decoder_layers: Positive = 6
    decoder_layers: Positive = 9
    heads: Positive = 8
    feedforward: Positive = Field(2048, description="hidden width of the decoder's MLPs")
    pixel_feedforward: Positive = Field(1024, description="hidden width of the pixel decoder's MLPs")
    num_points: Positive = Field(12544, description="points per mask at which mask losses are computed")
    unseen_pixels: Literal["ignored", "negative"] = Field(
        "ignored",
        description="zss: unseen and void pixels are left out of mask losses, or are background of every mask",
    )
    tau: PositiveReal = Field(0.07, description="temperature of the class logits cos/tau")
    no_object_weight: PositiveReal = 0.1
    v2c: V2C = V2C()
    crop: Positive = Field(1024, description="side of the training crop, pixels")
    resize: Literal["longer", "shorter"] = Field(
        "longer", description="the image side that is resized to the crop before the random scale"
    )
    scale: tuple[PositiveReal, PositiveReal] = Field(
        (0.1, 2.0), description="random scale of the image before the crop"
    )
    flip: Fraction = 0.5
    eval_size: Positive = Field(800, description="shorter side at inference, pixels")
    eval_max_size: Positive = Field(1333, description="maximum longer side at inference, pixels")
    iterations: Positive = 140_350
    batch_size: Positive = Field(16, description="images per step, over all processes")
    accumulate: Positive = Field(
        1, description="parts into which each process splits its images of a step; saves memory"
    )
    learning_rate: Rate = 1e-4
    backbone_rate: NonNegativeReal = Field(0.1, description="learning rate of the backbone relative to learning_rate")
    weight_decay: NonNegativeReal = 0.05
    clip_grad: NonNegativeReal = Field(0.01, description="maximum gradient norm; 0: no limit")
    schedule: Literal["steps", "cosine", "poly"] = Field(
        "steps", description="course of the learning rate; poly: (1 - iteration / iterations)^0.9"
    )
    steps: list[Fraction] = Field([0.9, 0.95], description="fractions of the schedule at which the rate drops tenfold")
    warmup: Count = Field(0, description="iterations of linear warm-up")
    amp: Literal["off", "bf16", "fp16"] = "off"
    tf32: bool = Field(False, description="TF32 in matrix products and convolutions on GPUs: faster, with fewer digits")
    compile: bool = Field(False, description="compile the deformable attention and the heads; needs a C++ compiler")
    workers: Count = Field(4, description="data loading workers per process")
    checkpoint_every: Positive = 5000
    log_every: Positive = 50
    validate_every: Count = Field(
        5000, description="iterations between two measurements on selection images while it trains; 0: none"
    )
    validate_images: Positive = Field(50, description="maximum number of selection images of such a measurement")

    @model_validator(mode="after")
    def _segmentor_has_these(self) -> Base:
        if self.segmentor == "maskformer":
            default = type(self).model_fields
            for key, why in (
                ("num_points", "which compares whole masks"),
                ("init", "and starts from a Mask2Former"),
            ):
                if getattr(self, key) != default[key].default:
                    raise ValueError(
                        f"{key} does not apply to segmentor maskformer, {why}; leave it out or set its default, "
                        f"{'null' if default[key].default is None else default[key].default}"
                    )
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> Base:
        if self.channels % self.heads:
            raise ValueError(f"channels {self.channels} is not a multiple of heads {self.heads}")
        return self
