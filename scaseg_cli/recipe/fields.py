"""What all sections of a recipe are made of: the base class of a section, and the types of values with their limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
