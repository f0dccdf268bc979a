"""What the unit tests share."""

from pathlib import Path

import pytest
from test_prepare import add


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small sound dataset: two training images and one for validation, each in its group."""
    root = tmp_path / "source"
    for split, group, frame in [("train", "1", "a"), ("train", "2", "b"), ("val", "3", "c")]:
        add(root, split, group, frame)
    return root
