"""The recipe's section `data`: the images and their labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scaseg_cli.recipe.fields import Count, FilePath, Fraction, MapValue, Positive, Section


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
