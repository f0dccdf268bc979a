"""What is left out or put off at import is there when it is asked for."""

import importlib
import sys
from pathlib import Path

import pytest

from segbench.engine.lean_imports import NEVER_USED, leave_out, put_off


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that nobody has imported yet."""
    (tmp_path / "doubling.py").write_text("def double(x, add=0):\n    return 2 * x + add\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "doubling"
    sys.modules.pop("doubling", None)


def test_a_function_that_is_put_off_imports_its_module_when_it_is_called(module):
    with put_off([module]):
        from doubling import double
    assert module not in sys.modules
    assert double(3, add=1) == 7
    assert Path(sys.modules[module].__file__).name == "doubling.py"


def test_what_is_imported_later_is_the_module_itself(module):
    with put_off([module]):
        importlib.import_module(module)
    assert importlib.import_module(module).double(2) == 4


def test_a_module_that_is_there_is_not_put_off(module):
    there = importlib.import_module(module)
    with put_off([module]):
        assert importlib.import_module(module) is there
    leave_out({module: "Anything"})
    assert sys.modules[module] is there
    assert not hasattr(there, "Anything")


def test_nothing_is_an_instance_of_what_is_left_out():
    from mmengine.model.wrappers import MMFullyShardedDataParallel

    assert not isinstance(object(), MMFullyShardedDataParallel)
    # the classes are still there under these names in the pinned MMEngine
    root = Path(importlib.import_module("mmengine").__file__).parents[1]
    for name, offered in NEVER_USED.items():
        assert f"class {offered}" in (root / f"{name.replace('.', '/')}.py").read_text()
