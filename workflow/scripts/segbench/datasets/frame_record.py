"""What the table of frames says of one frame."""

from typing import NotRequired, TypedDict


class FrameRecord(TypedDict):
    """One row of `frames.csv`, without the classes that the frame shows.

    Attributes:
        split: where the frame is, or for folds where it is in the first one.
        name, group: of the frame; the group is empty where the dataset has none.
        height, width: in pixels.
        brightness: of the image, a fraction of white.
        suffix: of the image file, in small letters.
        placed: how the image was put into the prepared dataset.
        image_sha256, label_sha256: of the image file, and of the class ids.
        fold: in which the frame is validated on, with folds.
    """

    split: str
    name: str
    group: str
    height: int
    width: int
    brightness: float
    suffix: str
    placed: str
    image_sha256: str
    label_sha256: str
    fold: NotRequired[int]
