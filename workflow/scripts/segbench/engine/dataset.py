"""The prepared dataset as an MMSegmentation dataset, which may mix image suffixes.

Named in `custom_imports` of every rendered config, so that MMSegmentation's own tools can use the
config too (with `workflow/scripts` on PYTHONPATH). Imports mmseg.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Sampler

from segbench.datasets.frame_table import frame_sizes, frames_of_classes
from segbench.engine.growing import crop_to
from segbench.engine.sampling import RareClassOrder


@DATASETS.register_module()
class FrameDataset(BaseSegDataset):  # type: ignore[misc]
    """Frames named by a split file, with images of any suffix and labels as PNG.

    Args:
        more_prefix: folders of the other split, in which frames of a fold may lie as well.
        settings: those of MMSegmentation's dataset.
    """

    def __init__(self, more_prefix: dict[str, str] | None = None, **settings: object) -> None:
        self.more_prefix = more_prefix
        super().__init__(**settings)

    def load_data_list(self) -> list[dict[str, object]]:
        """List images with their labels, in the order of the split file."""
        places = [(Path(self.data_prefix["img_path"]), Path(self.data_prefix["seg_map_path"]))]
        if self.more_prefix:
            root = Path(self.data_root)
            more = self.more_prefix
            places.append((root / more["img_path"], root / more["seg_map_path"]))
        found = {
            path.stem: (path, labels / f"{path.stem}.png")
            for images, labels in places
            for path in images.iterdir()
        }
        return [
            {
                "img_path": str(found[name][0]),
                "seg_map_path": str(found[name][1]),
                "label_map": None,
                "reduce_zero_label": False,
                "seg_fields": [],
            }
            for name in self._names()
        ]

    def crop_to(self, crop: tuple[int, int]) -> None:
        """Cut crops of a height and width from here on."""
        crop_to(self.pipeline.transforms, crop)

    def _names(self) -> list[str]:
        return Path(self.ann_file).read_text().splitlines()

    def frames_of_classes(self) -> list[npt.NDArray[np.int64]]:
        """For each class the indices of the frames that show it."""
        return frames_of_classes(*self._in_table(), len(self.metainfo["classes"]))

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each frame."""
        return frame_sizes(*self._in_table())

    def _in_table(self) -> tuple[Path, str | None, list[str]]:
        """The table of frames, the split in which they are there, and their names."""
        split = None if self.more_prefix else Path(self.ann_file).stem
        return Path(self.data_root) / "frames.csv", split, self._names()


class EqualSizes(Sampler[list[int]]):
    """Batches of consecutive frames of equal size, in their order.

    A batch has no more pixels than a step of the training, so that it takes less memory.

    Args:
        sizes: height and width of each frame of the dataset.
        indices: those that are wanted, ascending.
        pixels: the most pixels of a batch of more than one frame.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], indices: Sequence[int], pixels: int
    ) -> None:
        self._batches = list[list[int]]()
        for size, group in itertools.groupby(indices, key=sizes.__getitem__):
            most = max(1, pixels // (size[0] * size[1]))
            # not `itertools.batched`, which Python 3.11 does not have
            while batch := [*itertools.islice(group, most)]:
                self._batches.append(batch)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


@DATA_SAMPLERS.register_module()
class RareClassSampler(Sampler[int]):
    """Without end, images of rare classes more often: `train_dataloader.sampler` of a config.

    Trainings here ask for its order at a position; MMSegmentation's own tools use it as it is.

    Args:
        dataset: a `FrameDataset`.
        probabilities: how often each class is drawn.
        seed: decides the draws.
    """

    def __init__(
        self, dataset: FrameDataset, probabilities: Sequence[float], seed: int | None = None
    ) -> None:
        self.order = RareClassOrder(seed or 0, probabilities, dataset.frames_of_classes())

    def __iter__(self) -> Iterator[int]:
        return map(self.order, itertools.count())
