"""Dataset descriptions: where a dataset is, how it is laid out, and its classes.

One YAML file per dataset in config/datasets/. Knows their schema; reads no image.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from segbench.datasets.layout import pattern_problem
from segbench.errors import did_you_mean
from segbench.schema import (
    Count,
    Name,
    Section,
    Seed,
    Size,
    integer_from_text,
    number_from_text,
    parse_section,
    read_yaml,
    tuple_from_list,
)

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
LIST_SUFFIX = ".txt"
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
IGNORE_INDEX = 255
MAX_IMAGE_PIXELS = 178_956_970  # what Pillow refuses to go beyond by default

Channel = Annotated[int, BeforeValidator(integer_from_text), Field(ge=0, le=255)]
Color = Annotated[tuple[Channel, Channel, Channel], BeforeValidator(tuple_from_list)]
Texts = Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)]
Values = Annotated[tuple[Channel, ...], BeforeValidator(tuple_from_list)]


class Class(Section):
    """One class: its name and colour, and what belongs to it in the source's labels."""

    name: str = Field(
        min_length=1, max_length=60, pattern=PRINTABLE, description="shown in tables and figures"
    )
    color: Color = Field(description="red, green and blue, 0 to 255")
    labels: Texts = Field(default=(), description="names of the polygons that belong to it")
    values: Values = Field(
        default=(), description="values in an index map that belong to it; default: its position"
    )
    colors: Annotated[tuple[Color, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(), description="colours in an RGB map that belong to it; default: its `color`"
    )


class ClassList(Section):
    """The classes that a model learns, in the order of their ids."""

    classes: Annotated[tuple[Class, ...], BeforeValidator(tuple_from_list)] = Field(
        min_length=2, max_length=254, description="the classes; the first one gets id 0"
    )
    ignore_labels: Texts = Field(
        default=(), description="polygons painted as void, which is neither learnt nor scored"
    )
    ignore_values: Values = Field(default=(255,), description="void values in an index map")
    ignore_colors: Annotated[tuple[Color, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(), description="void colours in an RGB map"
    )

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        _refuse_twice("class name", [found.name for found in self.classes])
        names = [label for found in self.classes for label in found.labels]
        _refuse_twice("label", [*names, *self.ignore_labels])
        values = [value for found in self.classes for value in found.values]
        _refuse_twice("value of a class", values)
        for value in self.ignore_values:
            if value in (values or range(len(self.classes))):
                raise ValueError(
                    f"the value {value} is in `ignore_values` and belongs to a class as well; give "
                    "every class its `values`"
                )
        colors = [color for found in self.classes for color in found.colors]
        _refuse_twice("colour", [*colors, *self.ignore_colors])
        return self

    def id_of_label(self) -> dict[str, int]:
        """Map polygon labels to class ids, void ones to the ignore index."""
        ids = {label: i for i, found in enumerate(self.classes) for label in found.labels}
        return ids | dict.fromkeys(self.ignore_labels, IGNORE_INDEX)

    def id_of_value(self) -> dict[int, int]:
        """Map values of an index map to class ids, void ones to the ignore index."""
        given = any(found.values for found in self.classes)
        ids = {
            value: i
            for i, found in enumerate(self.classes)
            for value in (found.values if given else (i,))
        }
        return ids | dict.fromkeys(self.ignore_values, IGNORE_INDEX)

    def id_of_color(self) -> dict[tuple[int, int, int], int]:
        """Map colours of an RGB map to class ids, void ones to the ignore index."""
        ids = {
            color: i
            for i, found in enumerate(self.classes)
            for color in (found.colors or (found.color,))
        }
        return ids | dict.fromkeys(self.ignore_colors, IGNORE_INDEX)


class Labels(Section):
    """How the labels of a dataset are written."""

    format: Literal["index", "rgb", "polygons", "labelme"] = Field(
        description="`index`: a PNG whose pixel values, or palette indices, are class values; "
        "`rgb`: a PNG whose colours are classes; `polygons`: JSON as of IDD and Cityscapes; "
        "`labelme`: JSON of labelme"
    )
    path: str = Field(description="pattern of the label files, with the images' wildcards")
    background: str | None = Field(
        default=None,
        description="class of what no polygon or shape covers; by default that is void",
    )


class Source(Section):
    """Where a dataset comes from: a path (folder or archive) in one line, or a mapping."""

    path: str | None = Field(default=None, description="folder or archive (.tar, .tar.gz, .zip)")
    demo: Literal["urban", "rural"] | None = Field(
        default=None,
        description="instead of a path: draw road scenes of this domain, in IDD's exact form",
    )
    train: Count = Field(default=96, description="number of drawn training images")
    val: Count = Field(default=32, description="number of drawn validation images")
    size: Size = Field(default=(192, 320), description="height and width of the drawn images")
    seed: Seed = Field(default=0, description="another seed draws other scenes")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.path is None) == (self.demo is None):
            raise ValueError("name either `path` or `demo`")
        return self

    @property
    def is_archive(self) -> bool:
        """Whether the source must be unpacked first."""
        return self.path is not None and self.path.lower().endswith(ARCHIVE_SUFFIXES)

    @property
    def is_made_here(self) -> bool:
        """Whether the folder that is prepared is made by the workflow, drawn or unpacked."""
        return self.demo is not None or self.is_archive


def _source_from_path(value: Any) -> Any:
    return {"path": str(Path(value).expanduser())} if isinstance(value, str) else value


def _not_a_path(value: Any) -> Any:
    """Pass the classes on: `load_description` has put the list in place of its path."""
    return value


class RandomSplit(Section):
    """A split drawn by segbench: whole groups, with rare classes on both sides if possible."""

    val: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, lt=1)] = Field(
        default=0.2, description="wanted share of the images on the validation side"
    )
    seed: Seed = Field(default=0, description="another seed draws another split")


class Splits(Section):
    """Which frames make which side: a value of the wildcard `{split}`, or a list file."""

    train: str = Field(
        default="train",
        description="the training side: a value of `{split}`, or the path of a `.txt` file below "
        "`root` with a frame's name at the start of each line",
    )
    val: str = Field(
        default="val", description="the side that models are compared on, in the same way"
    )

    random: RandomSplit | None = Field(
        default=None,
        description="instead: all matching images are split at random, by `{group}` where the "
        "pattern has it (all images of a drive on one side), else image by image",
    )

    @property
    def are_lists(self) -> bool:
        """Whether both sides are list files, so that patterns need no `{split}`."""
        return self.train.endswith(LIST_SUFFIX) and self.val.endswith(LIST_SUFFIX)

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        if self.train == self.val:
            raise ValueError(f"train and val are both '{self.train}'; they must differ")
        return self


class DatasetDescription(Section):
    """A dataset description file."""

    name: Name = Field(description="names the folder under `results/datasets/`")
    source: Annotated[
        Source, BeforeValidator(_source_from_path, json_schema_input_type=str | Source)
    ] = Field(description="path of a folder or an archive, or a mapping with `demo`")
    root: str = Field(default="", description="folder inside the source that patterns start at")
    images: str = Field(
        description="pattern of the image files, with the wildcards `{split}`, `{group}` (a drive "
        "or sequence), `{frame}` and alternatives such as `{ext:jpg|png}`"
    )
    labels: Labels = Field(description="format and pattern of the labels")
    splits: Splits = Field(default=Splits(), description="the sides of the dataset")
    classes: Annotated[
        ClassList, BeforeValidator(_not_a_path, json_schema_input_type=str | ClassList)
    ] = Field(description="path of a class list, or the list itself")

    max_image_pixels: Count = Field(
        default=MAX_IMAGE_PIXELS,
        description="an image or label with more pixels is refused, because decoding it may "
        "exhaust the memory",
    )

    @model_validator(mode="after")
    def _patterns_fit(self) -> Self:
        for key, pattern in (("images", self.images), ("labels.path", self.labels.path)):
            if problem := pattern_problem(
                pattern, needs_split=not (self.splits.are_lists or self.splits.random)
            ):
                raise ValueError(f"`{key}`: {problem}")
        if self.labels.format == "rgb":
            colors = [c for one in self.classes.classes for c in one.colors or (one.color,)]
            _refuse_twice("colour", [*colors, *self.classes.ignore_colors])
        outlines = self.labels.format in ("polygons", "labelme")
        if outlines and not any(found.labels for found in self.classes.classes):
            raise ValueError("`classes`: polygons need `labels` that belong to the classes")
        names = [found.name for found in self.classes.classes]
        if self.labels.background is not None and self.labels.background not in names:
            raise ValueError(
                f"`labels.background`: there is no class '{self.labels.background}'."
                f"{did_you_mean(self.labels.background, names)}"
            )
        return self

    @property
    def background_id(self) -> int:
        """Class id of what no outline covers."""
        names = [found.name for found in self.classes.classes]
        background = self.labels.background
        return IGNORE_INDEX if background is None else names.index(background)

    def at(self, path: str) -> "DatasetDescription":
        """This description with another place for its source."""
        return self.model_copy(update={"source": Source(path=path)})


def load_description(path: Path) -> DatasetDescription:
    """Load a dataset description; a path given for `classes` is relative to the file.

    Raises:
        ConfigError: the file or the class list it names is missing or wrong.
    """
    data = read_yaml(path)
    if isinstance(data, Mapping) and isinstance(data.get("classes"), str):
        class_file = path.parent / data["classes"]
        classes = parse_section(ClassList, read_yaml(class_file), str(class_file))
        data = {**data, "classes": classes}
    return parse_section(DatasetDescription, data, str(path))


def _refuse_twice(what: str, items: list[Any]) -> None:
    twice = [item for item in items if items.count(item) > 1]
    if twice:
        raise ValueError(f"the {what} '{twice[0]}' is listed twice, so it is ambiguous")
