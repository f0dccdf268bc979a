"""What all tests of extras need: the extras."""

import importlib.util
import os

import pytest


@pytest.fixture(autouse=True, scope="module")
def _extras_are_here():
    absent = [
        name for name in ("mmdet", "mmpretrain", "timm") if importlib.util.find_spec(name) is None
    ]
    if absent and os.environ.get("SEGBENCH_REQUIRE_EXTRAS") == "1":
        pytest.fail(f"{absent} are not installed; run: make test-extras")
    if absent:
        pytest.skip(f"needs the extras {absent}; run: make test-extras")
