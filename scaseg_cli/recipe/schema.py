"""What a recipe may say. One class a section; the section's name is the package's and the run folder's.

The defaults are the published values where there are any; docs/method.md says of each whether it is published,
as in Mask2Former, our reading, or ours. An unknown key is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
PositiveReal = Annotated[float, Field(gt=0)]
NonNegativeReal = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=1)]  # AdamW moves a weight by about the rate at each step
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of a recipe: no unknown keys, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class ImageSet(Section):
    """Where one set of labelled images lies, relative to ``data.root``."""

    images: str = Field(description="folder of the images")
    annotations: str | None = Field(None, description="zps: the panoptic JSON; zss has none")
    labels: str = Field(description="folder of the PNGs: zps panoptic ones, zss maps of one class id a pixel")


class ShapesData(Section):
    """How much of the embedded world is generated."""

    num_train: Positive = 2400
    num_selection: Positive = 200
    num_validation: Positive = 400
    image_size: Annotated[int, Field(ge=32, le=512)] = 64
    unseen_fraction: Fraction = Field(0.1, description="of the training scenes, how many may hold unseen classes")
    seed: Count = 0


class Data(Section):
    """The images and their labels."""

    categories: str | None = Field(
        None, description="zss: the classes of the label maps: coco-stuff, or a JSON file of ids and names"
    )
    root: str | None = Field(None, description="folder of the data; the embedded world: made in the run folder")
    shapes: ShapesData | None = Field(None, description="make the embedded world instead of reading data")
    train: ImageSet
    selection: ImageSet | None = Field(None, description="choices are made here; null: a part of validation")
    validation: ImageSet
    selection_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="of validation, the part for choices where there is no selection set; the rest is reported"
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Data:
        if self.root is None and self.shapes is None:
            raise ValueError("root is needed unless shapes is set")
        return self


class Split(Section):
    """Which classes are unseen."""

    unseen: str | list[str] = Field(description="a known split's name, a file of names (one a line), or the names")


class Clip(Section):
    """The vision-language model, through open_clip."""

    model: str = Field("ViT-B-16", description="an open_clip model name, or shapes-clip")
    checkpoint: str | None = Field("openai", description="an open_clip tag or a file; null: random weights")


class Embeddings(Section):
    """Class names to semantic embeddings."""

    templates: str = Field("vild", description="single, vild, padding8, zegclip15, imagenet80, or a file of templates")
    batch_size: Positive = 256


class Backbone(Section):
    """Mask2Former's ResNet."""

    depth: Literal[18, 34, 50, 101] = 50
    width: Positive = Field(64, description="channels of the stem and the first stage")
    max_pool: bool = Field(True, description="the stem's max-pooling; off for small images")
    frozen_stages: Annotated[int, Field(ge=-1, le=4)] = -1
    frozen_norm: bool = Field(True, description="BatchNorm as loaded, neither trained nor updated")
    sync_norm: bool = Field(False, description="BatchNorm's statistics over all processes; needs GPUs")
    checkpoint: str | None = Field("torchvision://resnet50", description="pre-trained weights; null: random")

    @model_validator(mode="after")
    def _synchronises_what_is_trained(self) -> Backbone:
        if self.sync_norm and self.frozen_norm:
            raise ValueError("sync_norm has no effect while frozen_norm is true: it takes BatchNorm as loaded")
        return self


class V2C(Section):
    """Vision-to-CLIP alignment: the queries' token is pulled towards CLIP's image token."""

    enabled: bool = True
    weight: NonNegativeReal = 1.0
    enhancement: Literal["multiply", "plus", "minus"] = "multiply"
    gamma: PositiveReal = 2.0
    bank_size: Count = Field(32, description="CLIP tokens of other images as negatives; 0: plain cosine")
    tau: PositiveReal = 0.07
    views: Literal["complete", "masked", "both"] = "both"


class Base(Section):
    """Stage 1: Mask2Former with the class projector, the cosine classifier and V2C."""

    backbone: Backbone = Backbone()
    channels: Positive = 256
    num_queries: Positive = 100
    pixel_decoder_layers: Positive = 6
    decoder_layers: Positive = 9
    heads: Positive = 8
    feedforward: Positive = Field(2048, description="hidden width of the decoder's MLPs")
    pixel_feedforward: Positive = Field(1024, description="hidden width of the pixel decoder's MLPs")
    num_points: Positive = Field(12544, description="points a mask at which the mask losses are taken")
    unseen_pixels: Literal["ignored", "negative"] = Field(
        "ignored", description="zss: unseen and void pixels are in no mask loss, or are background of every mask"
    )
    tau: PositiveReal = Field(0.07, description="temperature of the class logits cos/tau")
    no_object_weight: PositiveReal = 0.1
    v2c: V2C = V2C()
    crop: Positive = Field(1024, description="side of the training crop, pixels")
    resize: Literal["longer", "shorter"] = Field(
        "longer", description="which side of the image is brought to the crop, before the random scale"
    )
    scale: tuple[PositiveReal, PositiveReal] = Field(
        (0.1, 2.0), description="random scale of the image before the crop"
    )
    flip: Fraction = 0.5
    eval_size: Positive = Field(800, description="shorter side at inference, pixels")
    eval_max_size: Positive = Field(1333, description="longer side at inference, pixels, at most")
    iterations: Positive = 140_350
    batch_size: Positive = Field(16, description="images a step, all processes together")
    accumulate: Positive = Field(1, description="parts in which a process takes its share of a step; saves memory")
    learning_rate: Rate = 1e-4
    backbone_rate: NonNegativeReal = Field(0.1, description="learning rate of the backbone, relative")
    weight_decay: NonNegativeReal = 0.05
    clip_grad: NonNegativeReal = Field(0.01, description="largest gradient norm; 0: no limit")
    schedule: Literal["steps", "cosine"] = "steps"
    steps: list[Fraction] = Field([0.9, 0.95], description="parts of the schedule at which the rate drops tenfold")
    warmup: Count = Field(0, description="iterations of linear warm-up")
    amp: Literal["off", "bf16", "fp16"] = "off"
    workers: Count = Field(4, description="data loading workers a process")
    checkpoint_every: Positive = 5000
    log_every: Positive = 50

    @model_validator(mode="after")
    def _heads_divide(self) -> Base:
        if self.channels % self.heads:
            raise ValueError(f"channels {self.channels} is not a multiple of heads {self.heads}")
        return self


class Queries(Section):
    """The one pass of the frozen segmentor that stages 2 and 3 train from."""

    views: Positive = Field(1, description="augmented passes over the training images")
    unmatched_per_image: Count = Field(10, description="sampled queries without a segment, an image")
    batch_size: Positive = 8
    images_per_shard: Positive = 512


class Cat(Section):
    """Stage 2, CAT: the generator."""

    generator: Literal["vae", "ridge", "none"] = "vae"
    live: bool = Field(False, description="run the segmentor at every step, as published, not from the file")
    iterations: Positive = 36_875
    batch_size: Positive = Field(512, description="matched embeddings a step")
    live_images: Positive = Field(16, description="images a step with live")
    learning_rate: Rate = 1e-3
    weight_decay: NonNegativeReal = 0.05
    hidden: Positive = 512
    latent: Positive = 64
    mmd_weight: NonNegativeReal = 1.0
    kl_weight: NonNegativeReal = 1.0
    reconstruction_weight: NonNegativeReal = Field(0.0, description="of |v - v^|^2; ours, not published")
    contrast_weight: NonNegativeReal = Field(0.1, description="lambda_r")
    semantic_weight: NonNegativeReal = Field(0.01, description="lambda_f")
    semantic_unseen: bool = Field(True, description="the semantic loss on unseen names too")
    tau_r: PositiveReal = Field(0.07, description="temperature of the embedding contrast")
    null_negatives: bool = Field(True, description="queries without a segment as negatives of the contrast")
    mixup: NonNegativeReal = Field(0.0, description="alpha of Beta(alpha, alpha) that mixes pairs; 0: off; ours")
    checkpoint_every: Positive = 5000


class UnseenPull(Section):
    """Draws generated embeddings back towards the nearest seen classes. Ours, not published."""

    beta: Fraction = Field(0.0, description="0: off; 1: all the way to a seen embedding")
    k: Positive = Field(2, description="nearest seen classes to draw from, in visual space")


class Union(Section):
    """Stage 3: the class projector alone, on real seen and generated unseen embeddings."""

    iterations: Positive = 80_000
    batch_size: Positive = Field(512, description="real matched embeddings a step")
    num_null: Count = Field(256, description="real embeddings without a segment a step")
    pseudo_unseen: Count = Field(150, description="n_u, noise samples per unseen class a step")
    pseudo_seen: Count = Field(0, description="n_s, noise samples per seen class a step")
    learning_rate: Rate = 1e-5
    weight_decay: NonNegativeReal = 0.05
    unseen_pull: UnseenPull = UnseenPull()
    unseen_margin: NonNegativeReal = Field(0.0, description="off the unseen logits in the training loss; ours")
    unseen_weight: NonNegativeReal | None = Field(
        None, description="weight of an unseen class relative to the mean seen class; null: by count; ours"
    )
    control: bool = Field(True, description="also fine-tune without generated embeddings, as a control")
    candidates: Positive = Field(6, description="snapshots from which the best is chosen on the selection images")
    checkpoint_every: Positive = 5000


class Evaluation(Section):
    """Panoptic inference and what is reported."""

    object_threshold: Fraction = 0.8
    overlap_threshold: Fraction = 0.8
    setting: Literal["inductive", "transductive", "both"] = Field(
        "both", description="inductive alone needs no stage 2 or 3"
    )
    inductive_increment: float = Field(1.0, description="added to the unseen logits in the inductive setting")
    increments: list[float] = Field(
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0], description="from which the best is chosen on the selection images"
    )
    batch_size: Positive = 1


class Slurm(Section):
    """What `--launcher slurm` asks the cluster for; GPUs and nodes are the recipe's own."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Positive | Annotated[str, Field(pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$")] = Field(
        1440, description="minutes, or D-HH:MM:SS"
    )
    cpus_per_task: Positive | None = Field(None, description="of a node")
    memory: Positive | None = Field(None, description="GB of a node")
    setup: list[str] = Field([], description="lines of shell that the job begins with, such as module load")


class Recipe(Section):
    """Everything a run needs."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    task: Literal["zps", "zss"] = Field("zps", description="zero-shot panoptic or semantic segmentation")
    seed: Count = 0
    gpus: Count = Field(0, description="of each node; 0: CPU")
    processes: Positive = Field(1, description="on the CPU, of each node")
    nodes: Positive = Field(1, description="machines that train the base together")
    threads: Positive | None = Field(None, description="CPU threads a process; null: torch's choice")
    deterministic: bool = Field(False, description="kernels that give the same bits each time, where there are any")
    tensorboard: bool = Field(True, description="write the base's losses for TensorBoard")
    wandb: str | None = Field(None, description="send the base's losses to this project of Weights & Biases")
    slurm: Slurm = Slurm()
    data: Data
    split: Split
    clip: Clip = Clip()
    embeddings: Embeddings = Embeddings()
    base: Base = Base()
    queries: Queries = Queries()
    cat: Cat = Cat()
    union: Union = Union()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _labels_fit_the_task(self) -> Recipe:
        sets = {"train": self.data.train, "selection": self.data.selection, "validation": self.data.validation}
        for name, where in sets.items():
            if where is not None and (where.annotations is None) == (self.task == "zps"):
                wanted = "needs" if self.task == "zps" else "does not take"
                raise ValueError(f"task {self.task} {wanted} data.{name}.annotations")
        if (self.data.categories is None) == (self.task == "zss"):
            raise ValueError(f"task {self.task} {'needs' if self.task == 'zss' else 'does not take'} data.categories")
        return self

    @property
    def folder(self) -> Path:
        """The run folder where none is named."""
        return Path("runs") / self.name
