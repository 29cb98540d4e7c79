"""The schema of recipes, with one class for each section; a stage's section, package and folder have one name.

Defaults are the published values where there are any. docs/method.md states for each whether it is published, from
Mask2Former, our reading of the paper, or ours. An unknown key is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scaseg_cli.files import LONGEST_NAME, LONGEST_PATH, can_be_named

_LARGEST = 2**31 - 1  # what the libraries take everywhere


def _fits_the_system(text: str) -> str:
    if not can_be_named([text]):
        raise ValueError(
            f"is too long for a path ({LONGEST_PATH} bytes, of which {LONGEST_NAME} for each name between slashes)"
        )
    return text


FilePath = Annotated[str, AfterValidator(_fits_the_system)]  # of a file or folder, or the name of a built-in choice
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Positive = Annotated[int, Field(gt=0, le=_LARGEST)]
PositiveReal = Annotated[float, Field(gt=0)]
NonNegativeReal = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=1)]  # AdamW changes a weight by about the rate in each step
Fraction = Annotated[float, Field(ge=0, le=1)]
MapValue = Annotated[int, Field(ge=0, le=65_535)]


class Section(BaseModel):
    """A section of a recipe: no unknown keys, no implicit conversion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class ImageSet(Section):
    """The paths of one set of labelled images, relative to ``data.root``."""

    images: FilePath = Field(description="folder of the images")
    annotations: FilePath | None = Field(None, description="zps: the panoptic JSON; zss has none")
    labels: FilePath = Field(description="folder of the PNGs: zps panoptic PNGs, zss maps with one class id per pixel")
    list: FilePath | None = Field(None, description="zss: a file with one image name per line; null: all images")
    image_suffix: str | None = Field(None, description="zss: the end of image names, such as _leftImg8bit.png")
    label_suffix: str | None = Field(None, description="zss: the end of label map names, such as _labelTrainIds.png")


class ShapesData(Section):
    """The size of the generated embedded world."""

    num_train: Positive = 2400
    num_selection: Positive = 200
    num_validation: Positive = 400
    image_size: Annotated[int, Field(ge=32, le=512)] = 64
    unseen_fraction: Fraction = Field(0.1, description="fraction of training scenes that may contain unseen classes")
    seed: Count = 0


class Data(Section):
    """The images and their labels."""

    names: Literal["first", "all"] = Field(
        "all", description='names that a class has: the first of "person, individual, someone", or all of them'
    )
    categories: FilePath | None = Field(
        None,
        description="zss: the classes of the label maps: coco-stuff, voc, pascal-context, ade20k, cityscapes, camvid, "
        "or a JSON file of ids and names",
    )
    ignored: list[MapValue] = Field([], description="zss: label map values that are no class, besides 255 and 65535")
    colours: FilePath | None = Field(
        None, description="zss: a file of colours and class names, for maps painted in colours"
    )
    exif: Literal["ignore", "turn"] = Field(
        "ignore", description="EXIF orientation of the images: ignored, as COCO's labels do, or followed, as viewers do"
    )
    things: list[str] | None = Field(
        None, description="zps: the classes that are things; null: those whose isthing is 1 in the annotations"
    )
    root: FilePath | None = Field(None, description="data folder; the embedded world is generated in the run folder")
    shapes: ShapesData | None = Field(None, description="generate the embedded world instead of reading data")
    train: ImageSet
    selection: ImageSet | None = Field(None, description="images for selection; null: a part of validation")
    validation: ImageSet
    selection_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="fraction of validation used for selection if there is no selection set; the rest is reported"
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Data:
        if self.root is None and self.shapes is None:
            raise ValueError("root is needed unless shapes is set")
        return self


class Split(Section):
    """The unseen classes."""

    unseen: FilePath | list[str] = Field(
        description="the name of a known split, a file of names (one per line), or the names"
    )


class Clip(Section):
    """The CLIP model, from open_clip."""

    model: str = Field("ViT-B-16", description="an open_clip model name, or shapes-clip")
    checkpoint: FilePath | None = Field("openai", description="an open_clip tag or a file; null: random weights")


class Embeddings(Section):
    """The semantic embeddings of class names."""

    encoder: FilePath = Field(
        "clip",
        description="clip, or sentence:FOLDER of a sentence-transformers BERT (sentence:package://NAME: of a package)",
        pattern=r"^(clip|sentence:.+)$",
    )
    vectors: FilePath | None = Field(
        None, description="a file of name vectors in place of an encoder: safetensors, npz, or GloVe's text"
    )
    templates: FilePath = Field(
        "vild", description="single, vild, padding8, zegclip15, imagenet80, or a file of templates"
    )
    names: Literal["spoken", "raw"] = Field(
        "spoken", description="names in prompts: without COCO's -merged, -other and -stuff, or as in the data"
    )
    synonyms: Literal["mean", "max"] = Field(
        "mean", description="a class with several names: the mean of their vectors, or the logit of the best name"
    )
    batch_size: Positive = 256


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
            return self
        default = type(self).model_fields
        for key in ("depth", "width", "max_pool", "sync_norm"):
            if getattr(self, key) != default[key].default:
                raise ValueError(f"{key} is a ResNet's and does not apply to timm's {self.timm}; leave it out")
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
    """Stage 1: Mask2Former with the class projector, the cosine classifier and V2C."""

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
    def _heads_divide(self) -> Base:
        if self.channels % self.heads:
            raise ValueError(f"channels {self.channels} is not a multiple of heads {self.heads}")
        return self


class Queries(Section):
    """The pass of the frozen segmentor whose query embeddings stages 2 and 3 train on."""

    views: Positive = Field(1, description="augmented passes over the training images")
    unmatched_per_image: Count = Field(10, description="sampled queries without a segment, per image")
    batch_size: Positive = 8
    images_per_shard: Positive = 512


class Cat(Section):
    """Stage 2, CAT: the generator."""

    generator: Literal["vae", "gmmn", "ridge", "none"] = "vae"
    live: bool = Field(False, description="run the segmentor at every step, as published, instead of reading the file")
    iterations: Positive = 36_875
    batch_size: Positive = Field(512, description="matched embeddings per step")
    live_images: Positive = Field(16, description="images per step with live")
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
    class_negatives: bool = Field(True, description="queries of other classes as negatives of the contrast")
    contrast_space: Literal["projected", "visual"] = Field(
        "projected", description="the space of the contrast: P's, or that of the visual embeddings"
    )
    noise: Literal["none", "seen_covariance"] = Field(
        "none", description="noise added to samples, with the pooled covariance of seen queries; ours"
    )
    mixup: NonNegativeReal = Field(0.0, description="alpha of Beta(alpha, alpha) for mixing pairs; 0: off; ours")
    checkpoint_every: Positive = 5000

    @model_validator(mode="after")
    def _applies(self) -> Cat:
        if self.noise != "none" and self.generator in ("ridge", "none"):
            why = "whose samples have this covariance" if self.generator == "ridge" else "which has no samples"
            raise ValueError(f"noise {self.noise} does not apply to generator {self.generator}, {why}; leave it out")
        if self.generator == "gmmn" and self.mmd_weight == 0:
            raise ValueError("generator gmmn is trained by the MMD alone; mmd_weight must be above 0")
        return self


class UnseenPull(Section):
    """Pulls generated embeddings towards the nearest seen classes. Ours, not published."""

    beta: Fraction = Field(0.0, description="0: off; 1: all the way to a seen embedding")
    k: Positive = Field(2, description="number of nearest seen classes, in visual space")


class Union(Section):
    """Stage 3: fine-tuning the class projector on real seen and generated unseen embeddings."""

    iterations: Positive = 80_000
    batch_size: Positive = Field(512, description="real matched embeddings per step")
    num_null: Count = Field(256, description="real embeddings without a segment per step")
    pseudo_unseen: Count = Field(150, description="n_u, noise samples per unseen class and step")
    pseudo_seen: Count = Field(0, description="n_s, noise samples per seen class and step")
    learning_rate: Rate = 1e-5
    weight_decay: NonNegativeReal = 0.05
    unseen_pull: UnseenPull = UnseenPull()
    unseen_margin: NonNegativeReal = Field(
        0.0, description="subtracted from the unseen logits in the training loss; ours"
    )
    unseen_weight: NonNegativeReal | None = Field(
        None, description="weight of an unseen class relative to the mean seen class; null: by count; ours"
    )
    control: bool = Field(True, description="also fine-tune without generated embeddings, as a control")
    candidates: Positive = Field(6, description="snapshots, of which the best on the selection images is chosen")
    checkpoint_every: Positive = 5000


class Evaluation(Section):
    """Inference and the reported settings."""

    object_threshold: Fraction = 0.8
    overlap_threshold: Fraction = 0.8
    setting: Literal["inductive", "transductive", "both"] = Field(
        "both", description="inductive alone does not need stages 2 and 3"
    )
    inductive_increment: float = Field(1.0, description="added to the unseen logits in the inductive setting")
    increments: list[float] = Field(
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0],
        description="increments, of which the best on the selection images is chosen",
    )
    batch_size: Positive = 1


class Slurm(Section):
    """Resources that `--launcher slurm` requests; GPUs and nodes are keys of the recipe."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Positive | Annotated[str, Field(pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$")] = Field(
        1440, description="minutes, or D-HH:MM:SS"
    )
    cpus_per_task: Positive | None = Field(None, description="CPU cores per node")
    memory: Positive | None = Field(None, description="GB per node")
    setup: list[str] = Field([], description="shell lines run at the start of the job, such as module load")


class Recipe(Section):
    """The definition of a run."""

    name: Annotated[FilePath, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    task: Literal["zps", "zss"] = Field("zps", description="zero-shot panoptic or semantic segmentation")
    seed: Count = 0
    gpus: Count = Field(0, description="GPUs per node; 0: CPU")
    processes: Positive = Field(1, description="CPU processes per node")
    nodes: Positive = Field(1, description="machines that train the base model together")
    threads: Positive | None = Field(None, description="CPU threads per process; null: torch's choice")
    deterministic: bool = Field(False, description="bitwise reproducible kernels, where PyTorch has them")
    tensorboard: bool = Field(True, description="write the curves of all trainings for TensorBoard")
    wandb: str | None = Field(None, description="Weights & Biases project for the base model's losses")
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
        if self.task == "zps":
            taken = {"data.ignored": self.data.ignored, "data.colours": self.data.colours}
            for name, where in sets.items():
                for key in ("list", "image_suffix", "label_suffix") if where is not None else ():
                    taken[f"data.{name}.{key}"] = getattr(where, key)
            for key, value in taken.items():
                if value:
                    raise ValueError(f"task zps does not take {key}: its annotations name the files")
        elif self.data.things is not None:
            raise ValueError("task zss does not take data.things: it has no things")
        elif self.data.colours is not None and self.data.ignored:
            raise ValueError(
                "data.ignored has no meaning with data.colours, where a colour of no class is ignored: set it to []"
            )
        if self.base.v2c.enabled and (self.embeddings.vectors is not None or self.embeddings.encoder != "clip"):
            raise ValueError("base.v2c needs CLIP's class embeddings; switch it off with base.v2c.enabled: false")
        if (self.data.categories is None) == (self.task == "zss"):
            raise ValueError(f"task {self.task} {'needs' if self.task == 'zss' else 'does not take'} data.categories")
        return self

    @property
    def folder(self) -> Path:
        """The default run folder."""
        return Path("runs") / self.name
