"""The repository keeps its own rules: generated files, documentation, pins, and imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from segbench.documentation import generated_files

LIBRARY = ROOT / "workflow/scripts/segbench"
MODULES = sorted(LIBRARY.rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))


def test_generated_files_are_up_to_date():
    for path, content in generated_files(ROOT).items():
        assert path.read_text() == content, f"{path} has drifted; run `make docs`"


def test_the_manual_has_a_table_for_every_section():
    manual = (ROOT / "config/README.md").read_text()
    assert "<!-- table: Experiment -->\n| key | type |" in manual
    assert "`crop_size`" in manual


def test_plain_make_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets
    command = ["make", "--no-print-directory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert {name for _, name, _ in lines} == set(targets[1].split())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_every_public_item_is_documented_and_modules_stay_short(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno
            if isinstance(node, ast.FunctionDef):
                assert length <= 80, f"{node.name} has {length} lines"
    public = [
        node
        for scope in [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]
        for node in scope.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    undocumented = [node.name for node in public if not ast.get_docstring(node)]
    # logging.Formatter.format and Dataset.__getitem__ are documented where they come from
    assert [name for name in undocumented if name not in ("format",)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_scripts_are_thin(path):
    tree = ast.parse(path.read_text())
    defined = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert defined == ["main"]
    main = next(n for n in tree.body if isinstance(n, ast.FunctionDef))
    assert (main.end_lineno or 0) - main.lineno <= 25


def loaded_by(code: str) -> set[str]:
    """Modules that are loaded after some code ran, and their packages; stand-ins are none."""
    found = "{n for n, m in sys.modules.items() if getattr(m, '__spec__', None)}"
    program = f"import sys; {code}; print(*{{o for n in {found} for o in (n, n.split('.')[0])}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(LIBRARY.parent)},
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("segbench.plan.load, segbench.plan.starts, segbench.plan.preconditions, "
         "segbench.system.provenance, segbench.engine.devices",
         {"torch", "mmseg", "mmengine", "pandas", "numpy", "matplotlib"}),
        ("segbench.report.compare", {"torch", "mmseg", "mmengine"}),
        ("segbench.datasets.prepare, segbench.demo.dataset", {"torch", "mmseg", "matplotlib"}),
        ("segbench.engine.train, segbench.engine.evaluate, segbench.engine.cost",
         {"pandas", "matplotlib", "scipy.ndimage", "sympy", "torch.distributed.fsdp"}),
        ("segbench.recipe.render", {"torch", "mmseg"}),
    ],
)  # fmt: skip
def test_only_what_runs_a_network_imports_torch(module, forbidden):
    assert loaded_by(f"import {module}") & forbidden == set()


def pins(path: Path) -> set[str]:
    return {
        line.strip(" \\")
        for line in path.read_text().splitlines()
        if re.match(r"\s*[a-z][\w.-]*==", line)
    }


def test_the_conda_environment_has_exactly_the_pins_of_the_lock():
    lock = pins(ROOT / "envs/requirements.lock")
    conda = yaml.safe_load((ROOT / "envs/segbench.yaml").read_text())
    resolved = set(conda["dependencies"][-1]["pip"])
    bare = pins(ROOT / "envs/segbench.post-deploy.sh")
    assert resolved | bare == lock
    assert resolved & bare == set()
    assert "torch==2.13.0" in lock


def test_the_lock_is_what_is_installed():
    from importlib.metadata import version

    for pin in pins(ROOT / "envs/requirements.lock"):
        name, _, wanted = pin.partition("==")
        assert version(name).split("+")[0] == wanted, name


def test_opencv_needs_no_desktop():
    import cv2

    assert not any(p.startswith("opencv-python==") for p in pins(ROOT / "envs/requirements.lock"))
    libraries = [*Path(cv2.__file__).parent.glob("cv2*.so")]
    assert libraries
    for library in libraries:
        needed = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
        assert not re.search(r"libGL\.|libgthread|libglib|not found", needed)


def test_every_rule_of_the_design_has_log_and_benchmark():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            assert "    log:" in rule
            assert "    benchmark:" in rule
            assert "    conda:" in rule
