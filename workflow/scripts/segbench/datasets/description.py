"""Dataset descriptions: where a dataset is, how it is laid out, and its classes.

One YAML file per dataset in config/datasets/. Knows their schema; reads no image.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from segbench.config.paths import UserPath
from segbench.config.schema import (
    Count,
    Name,
    Section,
    Seed,
    Size,
    number_from_text,
    parse_section,
    read_yaml,
)
from segbench.datasets.archives import MAX_FILES
from segbench.datasets.class_list import (
    IGNORE_INDEX,
    PRINTABLE,
    ClassList,
    Groups,
    refuse_twice,
)
from segbench.datasets.layout import pattern_problem
from segbench.datasets.split_settings import Splits
from segbench.errors import ConfigError, did_you_mean
from segbench.system.urls import shown, url_problem

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
DOWNLOADS = "resources/data"
SHA256 = re.compile(r"[0-9a-f]{64}")
# what a wildcard, a shell or a file system could take for something else
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
MAX_IMAGE_PIXELS = 178_956_970  # what Pillow refuses to go beyond by default

Fact = Annotated[str, Field(min_length=1, max_length=1000, pattern=PRINTABLE)] | None


class About(Section):
    """What people should know of a dataset: shown on its card, and nothing depends on it."""

    size: Fact = Field(default=None, description="images in each split, and their width x height")
    licence: Fact = Field(
        default=None, description="what its licence allows, or where its terms are to be read"
    )
    citation: Fact = Field(default=None, description="the publication that its authors ask to cite")
    homepage: Fact = Field(default=None, description="address of its home page")


class Labels(Section):
    """How the labels of a dataset are written."""

    format: Literal["index", "rgb", "polygons", "labelme", "coco"] = Field(
        description="`index`: a PNG whose pixel values, or palette indices, are class values; "
        "`rgb`: a PNG whose colours are classes; `polygons`: JSON as of IDD and Cityscapes; "
        "`labelme`: JSON of labelme; `coco`: one JSON for many images, with polygons and RLE "
        "(instances), larger objects painted first, crowds as their category"
    )
    path: str = Field(
        description="pattern of the label files, with the images' wildcards; `coco` needs none "
        "of them"
    )
    tolerance: Annotated[float, BeforeValidator(number_from_text), Field(ge=0, le=442)] = Field(
        default=0,
        description="for `rgb`: a colour of no class is taken for the nearest colour of a class up "
        "to this Euclidean distance in RGB (0 to 442), as smoothed or JPEG labels need; one that "
        "is equally near to two classes is refused",
    )
    values_of: str | None = Field(
        default=None,
        description="for `index`: path of the class list whose ids the values are, where that is "
        "not `classes` itself; its classes are grouped into these by the `labels` of both",
    )
    background: str | None = Field(
        default=None,
        description="class of what no polygon or shape covers; by default that is void",
    )


class Source(Section):
    """Where a dataset comes from: a path (folder or archive) in one line, or a mapping."""

    path: UserPath | None = Field(
        default=None,
        description="folder or archive (.tar, .tar.gz, .zip); a relative path starts where "
        "Snakemake is run",
    )
    url: str | None = Field(
        default=None,
        description="instead of a path: http or https address of an archive, which is downloaded "
        "once for all experiments",
    )
    sha256: str | None = Field(
        default=None,
        description="hash of that archive, as `sha256sum` prints it; needed with `url`",
    )
    max_files: Count = Field(
        default=MAX_FILES, description="an archive with more files and folders is refused"
    )
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
        if [self.path, self.url, self.demo].count(None) != 2:
            raise ValueError("name one of `path`, `url` and `demo`")
        if self.url is None and self.sha256 is not None:
            raise ValueError("`sha256` belongs to a `url`")
        if self.url is not None and (problem := _url_problem(self.url, self.sha256)):
            raise ValueError(problem)
        return self

    @property
    def archive(self) -> str | None:
        """The archive that must be unpacked first, if any: the user's own or a downloaded one."""
        if self.url is not None and self.sha256 is not None:
            name = NOT_IN_NAMES.sub("_", urlsplit(self.url).path.rpartition("/")[2])
            return f"{DOWNLOADS}/{self.sha256[:16]}/{name}"
        is_archive = self.path is not None and self.path.lower().endswith(ARCHIVE_SUFFIXES)
        return self.path if is_archive else None

    @property
    def drawing(self) -> dict[str, object] | None:
        """What the demo generator is asked for, if the source is drawn."""
        asked = self.model_dump(include={"train", "val", "size", "seed"})
        return None if self.demo is None else {"domain": self.demo, **asked}

    @property
    def is_made_here(self) -> bool:
        """Whether the folder that is prepared is made by the workflow, drawn or unpacked."""
        return self.demo is not None or self.archive is not None


def _url_problem(url: str, sha256: str | None) -> str | None:
    """Say what is wrong with an address of an archive and its hash, or None."""
    if problem := url_problem(url):
        return f"`url`: {problem}; a file on this machine is named by `path`"
    if not urlsplit(url).path.lower().endswith(ARCHIVE_SUFFIXES):
        return (
            f"`url`: '{shown(url)}' is not the address of an archive: it must end in "
            f"{', '.join(ARCHIVE_SUFFIXES)}"
        )
    if sha256 is None:
        return (
            "`sha256` is needed with `url`, so that what arrives is what was meant: its publisher "
            "may state it, or run `sha256sum` on the archive"
        )
    if not SHA256.fullmatch(sha256):
        return f"`sha256`: '{sha256}' is not a SHA-256, which has 64 digits from 0-9 and a-f"
    return None


def _source_from_path(value: object) -> object:
    return {"path": str(Path(value))} if isinstance(value, str) else value


def _not_a_path(value: object) -> object:
    """Pass the classes on: `load_description` has put the list in place of its path."""
    return value


class DatasetDescription(Section):
    """A dataset description file."""

    name: Name = Field(description="names the folder under `results/datasets/`")
    source: Annotated[
        Source, BeforeValidator(_source_from_path, json_schema_input_type=str | Source)
    ] = Field(description="path of a folder or an archive, or a mapping with `url` or `demo`")
    about: About = Field(
        default=About(),
        description="size, licence, citation and home page, for the dataset's card; a change of it "
        "reruns no more than the card",
    )
    root: str = Field(default="", description="folder inside the source that patterns start at")
    images: str = Field(
        description="pattern of the image files, with the wildcards `{split}`, `{group}` (a drive "
        "or sequence), `{frame}` and alternatives such as `{ext:jpg|png}`"
    )
    labels: Labels = Field(description="format and pattern of the labels")
    splits: Splits = Field(default=Splits(), description="the splits of the dataset")
    classes: Annotated[
        ClassList, BeforeValidator(_not_a_path, json_schema_input_type=str | ClassList)
    ] = Field(description="path of a class list, or the list itself")

    coarser: Annotated[dict[Name, Groups], BeforeValidator(_not_a_path)] = Field(
        default={},
        json_schema_extra={"additionalProperties": {"type": "string"}},
        description="coarser classes at which models are scored as well, such as `level1: "
        "../classes/idd_level1.yaml`: a name of yours and the path of a class list, which groups "
        "the classes by the `labels` of both",
    )
    max_image_pixels: Count = Field(
        default=MAX_IMAGE_PIXELS,
        description="an image or label with more pixels is refused, because decoding it may "
        "exhaust the memory",
    )

    @model_validator(mode="after")
    def _patterns_fit(self) -> Self:
        by_value = not (self.splits.are_lists or self.splits.are_drawn)
        # one annotation file of COCO may be for the images of a split, or for all
        single = self.labels.format != "coco"
        for key, pattern, needs_split, needs_frame in (
            ("images", self.images, by_value, True),
            ("labels.path", self.labels.path, by_value and single, single),
        ):
            if problem := pattern_problem(pattern, needs_split, needs_frame):
                raise ValueError(f"`{key}`: {problem}")
        if self.labels.format == "rgb":
            colors = [c for one in self.classes.classes for c in one.colors or (one.color,)]
            refuse_twice("colour", [*colors, *self.classes.ignore_colors])
        if self.labels.tolerance and self.labels.format != "rgb":
            raise ValueError("`labels.tolerance` belongs to the format rgb")
        if self.labels.values_of is not None and self.labels.format != "index":
            raise ValueError("`labels.values_of` belongs to the format index")
        outlines = self.labels.format in ("polygons", "labelme", "coco")
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
    """Load a dataset description; paths of class lists are relative to the file.

    Raises:
        ConfigError: the file or the class list it names is missing or wrong.
    """
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        return parse_section(DatasetDescription, data, str(path))
    labels = data.get("labels")
    finer = labels.get("values_of") if isinstance(labels, Mapping) else None
    if isinstance(data.get("classes"), str):
        data = {**data, "classes": _read_classes(path.parent / data["classes"])}
    coarser = data.get("coarser")
    description = parse_section(DatasetDescription, {**data, "coarser": {}}, str(path))
    if coarser is not None:
        groups = _groups(coarser, description.classes, path)
        description = description.model_copy(update={"coarser": groups})
    if finer is None:
        return description
    try:
        classes = description.classes.grouping(_read_classes(path.parent / finer))
    except ValueError as error:
        raise ConfigError(f"{path}: `labels.values_of`: {error}") from None
    return description.model_copy(update={"classes": classes})


def _groups(coarser: object, classes: ClassList, path: Path) -> dict[str, Groups]:
    """The groups of classes of each coarser list that a description names.

    Raises:
        ConfigError: a list is missing or wrong, or a class belongs to none or several of its own.
    """
    if not isinstance(coarser, Mapping) or not all(
        isinstance(level, str) and isinstance(name, str) and not NOT_IN_NAMES.search(level)
        for level, name in coarser.items()
    ):
        raise ConfigError(
            f"{path}: `coarser`: must give names of letters and digits to class lists, as in "
            "`level1: ../classes/idd_level1.yaml`"
        )
    found = {}
    for level, name in coarser.items():
        try:
            found[level] = _read_classes(path.parent / name).groups(classes)
        except ValueError as error:
            raise ConfigError(f"{path}: `coarser.{level}`: {error}") from None
    return found


def _read_classes(path: Path) -> ClassList:
    return parse_section(ClassList, read_yaml(path), str(path))
