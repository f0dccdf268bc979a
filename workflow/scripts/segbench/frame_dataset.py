"""The prepared dataset as an MMSegmentation dataset, which may mix image suffixes.

Named in `custom_imports` of every rendered config, so that MMSegmentation's own tools can use the
config too (with `workflow/scripts` on PYTHONPATH). Imports mmseg.
"""

from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class FrameDataset(BaseSegDataset):  # type: ignore[misc]
    """Frames named by a split file, with images of any suffix and labels as PNG."""

    def load_data_list(self) -> list[dict[str, Any]]:
        """List images with their labels, in the order of the split file."""
        images = {path.stem: path for path in Path(self.data_prefix["img_path"]).iterdir()}
        labels = Path(self.data_prefix["seg_map_path"])
        return [
            {
                "img_path": str(images[name]),
                "seg_map_path": str(labels / f"{name}.png"),
                "label_map": None,
                "reduce_zero_label": False,
                "seg_fields": [],
            }
            for name in Path(self.ann_file).read_text().splitlines()
        ]
