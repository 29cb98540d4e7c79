"""The schema of recipes, with one class for each section; a stage's section, package and folder have one name.

The sections `data` and `base` have files of their own. Defaults are the published values where there are any;
docs/method.md states for each whether it is published, from Mask2Former, our reading of the paper, or ours. An unknown
key is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scaseg_cli.recipe.base_section import Base
from scaseg_cli.recipe.data_section import Data
from scaseg_cli.recipe.fields import Count, FilePath, Fraction, NonNegativeReal, Positive, PositiveReal, Rate, Section


class Split(Section):
    """The unseen classes."""

    unseen: FilePath | list[str] = Field(
        description="the name of a known split, a file of names (one per line), or the names"
    )


class Clip(Section):
    """The CLIP model, from open_clip."""

    model: FilePath = Field(
        "ViT-B-16",
        description="an open_clip model name, hf-hub:OWNER/NAME, local-dir:FOLDER in open_clip's form, or shapes-clip",
    )
    checkpoint: FilePath | None = Field(
        "openai",
        description="an open_clip tag or a file; own: the weights of hf-hub: or local-dir:; null: random weights",
    )


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


class Queries(Section):
    """The pass of the frozen segmentor whose query embeddings stages 2 and 3 train on."""

    views: Positive = Field(1, description="augmented passes over the training images")
    unmatched_per_image: Count = Field(10, description="sampled queries without a segment, per image")
    batch_size: Positive = 8
    images_per_shard: Positive = 512


class Cat(Section):
    """Stage 2, CAT: the generator."""

    generator: Literal["vae", "gmmn", "primitives", "ridge", "none"] = "vae"
    live: bool = Field(False, description="run the segmentor at every step, as published, instead of reading the file")
    iterations: Positive = 36_875
    batch_size: Positive = Field(512, description="matched embeddings per step")
    live_images: Positive = Field(16, description="images per step with live")
    learning_rate: Rate = 1e-3
    weight_decay: NonNegativeReal = 0.05
    hidden: Positive = 512
    latent: Positive = 64
    primitives: Positive = Field(400, description="learned primitives of generator primitives")
    mmd_weight: NonNegativeReal = 1.0
    kl_weight: NonNegativeReal = 1.0
    reconstruction_weight: NonNegativeReal = Field(0.0, description="of |v - v^|^2; ours, not published")
    contrast_weight: NonNegativeReal = Field(0.1, description="lambda_r")
    semantic_weight: NonNegativeReal = Field(0.01, description="lambda_f")
    semantic_unseen: bool = Field(True, description="the semantic loss on unseen names too")
    alignment_weight: NonNegativeReal = Field(0.0001, description="of the alignment of generator primitives")
    tau_r: PositiveReal = Field(0.07, description="temperature of the embedding contrast")
    null_negatives: bool = Field(True, description="queries without a segment as negatives of the contrast")
    class_negatives: bool = Field(True, description="queries of other classes as negatives of the contrast")
    contrast_space: Literal["projected", "visual"] = Field(
        "projected", description="the space of the contrast: P's, or that of the visual embeddings"
    )
    noise: Literal["none", "seen_covariance", "auto"] = Field(
        "none",
        description="noise added to samples, with the pooled covariance of seen queries; auto: chosen on folds; ours",
    )
    mixup: NonNegativeReal = Field(0.0, description="alpha of Beta(alpha, alpha) for mixing pairs; 0: off; ours")
    checkpoint_every: Positive = 5000

    @model_validator(mode="after")
    def _applies(self) -> Cat:
        if self.noise != "none" and self.generator in ("ridge", "none"):
            why = "whose samples have this covariance" if self.generator == "ridge" else "which has no samples"
            raise ValueError(f"noise {self.noise} does not apply to generator {self.generator}, {why}; leave it out")
        if self.generator in ("gmmn", "primitives") and self.mmd_weight == 0:
            raise ValueError(f"generator {self.generator} is trained by the MMD; mmd_weight must be above 0")
        return self


class UnseenPull(Section):
    """Pulls generated embeddings towards the nearest seen classes. Ours, not published."""

    beta: Fraction | Literal["auto"] = Field(
        0.0, description="0: off; 1: all the way to a seen embedding; auto: chosen on folds"
    )
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
    unseen_weight: NonNegativeReal | Literal["auto"] | None = Field(
        None,
        description="weight of an unseen class relative to the mean seen class; null: by count; auto: chosen on folds; "
        "ours",
    )
    unseen_text: Literal["own", "permuted", "random"] = Field(
        "own", description="the name that the generator reads for an unseen class; the others are controls; ours"
    )
    unseen_codes: Literal["text", "random"] = Field(
        "text", description="the classifier's vectors of unseen classes: of their names, or random; a control; ours"
    )
    projector: Literal["trained", "fresh"] = Field(
        "trained",
        description="where the fine-tuning starts: at the base model's, or at a random one; a control; ours",
    )
    control: bool = Field(True, description="also fine-tune without generated embeddings, as a control")
    candidates: Positive = Field(6, description="snapshots, of which the best on the selection images is chosen")
    checkpoint_every: Positive = 5000


class Folds(Section):
    """Trainings without some of the seen classes, on which choices are made without an unseen label. Ours."""

    number: Positive = Field(2, description="folds; each trains a base model")
    classes: Positive | None = Field(
        None, description="seen classes that a fold holds out; null: the fraction of classes that are unseen"
    )
    images: Positive = Field(
        200, description="training images that no fold trains on, at most a fifth; choices are made on them"
    )


class Choose(Section):
    """The values that are tried on the folds for keys that are set to auto."""

    beta: list[Fraction] = Field([0.0, 0.25, 0.5, 0.75], min_length=1, description="for union.unseen_pull.beta")
    noise: list[Literal["none", "seen_covariance"]] = Field(
        ["none", "seen_covariance"], min_length=1, description="for cat.noise"
    )
    unseen_weight: list[NonNegativeReal | None] = Field([1.0, 3.0], min_length=1, description="for union.unseen_weight")


class Evaluation(Section):
    """Inference and the reported settings."""

    object_threshold: Fraction = 0.8
    overlap_threshold: Fraction = 0.8
    setting: Literal["inductive", "transductive", "both"] = Field(
        "both", description="inductive alone does not need stages 2 and 3"
    )
    choose_on: Literal["unseen_labels", "seen_folds", "nothing"] = Field(
        "unseen_labels",
        description="what snapshots and increments are chosen on: the labels of the selection images, seen classes "
        "that folds hold out, or nothing (the last snapshot, and the published increments)",
    )
    inductive_increment: float = Field(1.0, description="added to the unseen logits in the inductive setting")
    increments: list[float] = Field(
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0],
        description="increments, of which the best on the selection images is chosen",
    )
    clip_on_masks: Literal["none", "crops", "pooled"] = Field(
        "none", description="CLIP's image tower classifies masks at test, from crops or from its feature map; ours"
    )
    clip_weights: Literal["fixed", "tuned"] = Field(
        "fixed", description="CLIP's exponents: the two keys below, or the best on the selection images"
    )
    clip_seen_weight: Fraction = Field(0.4, description="CLIP's exponent for seen classes in the geometric mean")
    clip_unseen_weight: Fraction = Field(0.8, description="CLIP's exponent for unseen classes")
    clip_fill: Literal["mean", "none"] = Field(
        "mean", description="crops: what is outside the mask, CLIP's mean colour or the image"
    )
    clip_box: Annotated[PositiveReal, Field(ge=1.0, le=10.0)] = Field(
        1.25, description="crops: side of the square relative to the longer side of the mask's box"
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
    nodes: Positive = Field(1, description="machines that share the work of a command")
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
    folds: Folds = Folds()
    choose: Choose = Choose()
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
        if self.task == "zss" and self.base.segmentor == "maskformer":
            for key in ("pixel_decoder_layers", "pixel_feedforward"):
                default = type(self.base).model_fields[key].default
                if getattr(self.base, key) != default:
                    raise ValueError(
                        f"base.{key} does not apply to MMSegmentation's MaskFormer, whose pixel decoder has no "
                        f"transformer; leave it out or set its default, {default}"
                    )
        if self.base.v2c.enabled and (self.embeddings.vectors is not None or self.embeddings.encoder != "clip"):
            raise ValueError("base.v2c needs CLIP's class embeddings; switch it off with base.v2c.enabled: false")
        other = self.embeddings.vectors is not None or self.embeddings.encoder != "clip"
        if self.evaluation.clip_on_masks != "none" and other:
            raise ValueError("evaluation.clip_on_masks needs CLIP's class embeddings; set it to none")
        if (self.data.categories is None) == (self.task == "zss"):
            raise ValueError(f"task {self.task} {'needs' if self.task == 'zss' else 'does not take'} data.categories")
        return self

    @model_validator(mode="after")
    def _chooses_what_it_says(self) -> Recipe:
        if self.evaluation.choose_on != "unseen_labels" and self.evaluation.clip_weights == "tuned":
            raise ValueError(
                "evaluation.clip_weights tuned reads labels of unseen classes on the selection images, which "
                f"evaluation.choose_on {self.evaluation.choose_on} rules out; set clip_weights to fixed"
            )
        if self.evaluation.choose_on == "nothing" and self.auto_keys:
            raise ValueError(
                f"evaluation.choose_on nothing contradicts {' and '.join(self.auto_keys)}: auto, which is chosen on "
                "folds; set a value, or evaluation.choose_on: seen_folds"
            )
        return self

    @property
    def auto_keys(self) -> list[str]:
        """The keys whose value is chosen on folds of the seen classes."""
        values = {
            "union.unseen_pull.beta": self.union.unseen_pull.beta,
            "union.unseen_weight": self.union.unseen_weight,
            "cat.noise": self.cat.noise,
        }
        return [key for key, value in values.items() if value == "auto"]

    @property
    def needs_folds(self) -> bool:
        """Whether anything is chosen on folds of the seen classes."""
        return self.evaluation.choose_on == "seen_folds" or bool(self.auto_keys)

    @property
    def folder(self) -> Path:
        """The default run folder."""
        return Path("runs") / self.name
