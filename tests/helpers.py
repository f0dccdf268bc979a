"""Helpers of the tests: a checkout that runs Snakemake, and where real files are."""

import compileall
import csv
import functools
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from snakemake_process import run_snakemake

from segbench.config.training import Training
from segbench.datasets.manifest import Manifest
from segbench.recipe.context import Recipe
from segbench.system.code_digest import code_digest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CONFIG = ("--configfile", "smallest.yaml")
PARTS = ("Snakefile", "config", "workflow", "profiles", "envs")


def shared_file(name: str) -> Path:
    """A real file from the folder beside the checkout; skips where there is none."""
    path = SHARED / name
    if not path.exists():
        message = f"needs the real file {path}"
        if os.environ.get("SEGBENCH_REQUIRE_REAL_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def heed_interrupts() -> None:
    """Undo what a shell in the background hands on to a process: that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@functools.cache
def _read_code_once() -> None:
    """Compile and read the library before it is copied, and not in each of hundreds of copies."""
    scripts = ROOT / "workflow/scripts"
    compileall.compile_dir(scripts, quiet=1)
    for script in scripts.glob("*.py"):
        code_digest(script)


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository in which Snakemake is run as a user would."""

    root: Path

    @classmethod
    def copy_of(cls, source: Path, target: Path) -> "Checkout":
        """Copy what the workflow consists of, and what Python and segbench keep of its code."""
        _read_code_once()
        target.mkdir(parents=True)
        for part in PARTS:
            if (source / part).is_dir():
                shutil.copytree(source / part, target / part)
            else:
                shutil.copy2(source / part, target / part)
        return cls(target)

    def with_results(self, target: Path) -> "Checkout":
        """A copy of all of it: file times and Snakemake's records included."""
        shutil.copytree(self.root, target, symlinks=True, copy_function=shutil.copy2)
        return Checkout(target)

    def run(self, *arguments: str, expect: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run `snakemake ARGUMENTS`; fail the test if it ends with another status than expected."""
        done = run_snakemake(arguments, self.root, seconds=600)
        if expect is not None:
            assert done.returncode == expect, f"{done.args}\n{done.stdout}\n{done.stderr}"
        return done

    def dag(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule the whole DAG has, finished ones included."""
        done = self.run("--d3dag", *arguments, expect=0)
        nodes = json.loads(done.stdout[done.stdout.index("{") :])["nodes"]
        return Counter(node["value"]["rule"] for node in nodes)

    def pending(self, *arguments: str) -> dict[str, str]:
        """Output files that would be made, with their rules."""
        done = self.run("--summary", *arguments, expect=0)
        lines = done.stdout[done.stdout.index("output_file") :].splitlines()
        rows = csv.DictReader(lines, delimiter="\t")
        return {r["output_file"]: r["rule"] for r in rows if r["plan"] != "no update"}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a piece of a file, which must be there."""
        text = (self.root / path).read_text()
        assert old in text, f"{path} does not contain {old!r}"
        (self.root / path).write_text(text.replace(old, new, 1))


def planned(checkout: Checkout, *arguments: str) -> Counter[str]:
    """How many jobs of each rule are planned."""
    done = checkout.run("-n", *CONFIG, *arguments, expect=0)
    if "Nothing to be done" in done.stdout + done.stderr:
        return Counter()
    table = done.stdout.split("Job stats:")[1].split("total")[0]
    rows = (line.split() for line in table.splitlines())
    return Counter({row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()})


def recipe_of(**settings: Any) -> Recipe:
    """A recipe from its own settings and those of its training, side by side."""
    training = {key: settings.pop(key) for key in [*settings] if key in Training.model_fields}
    return Recipe(training=Training.model_validate(training), **settings)


def manifest_of(classes: int, **fields: Any) -> Manifest:
    """The manifest of a dataset of a few images, with what a test says of it."""
    counts = {
        "images": 9, "groups": 1, "class_pixels": [100] * classes, "class_images": [9] * classes,
        "pixels_where_seen": [1000] * classes, "ignored_pixels": 0, "brightness": 0.5,
    }  # fmt: skip
    train = counts | fields.pop("train", {})
    names = [{"name": f"class {i}", "color": [i, i, i]} for i in range(classes)]
    content = {
        "name": f"c{classes}", "classes": names, "image_sizes": [[227, 320, 9]],
        "splits": {"train": train, "val": counts},
    }  # fmt: skip
    return Manifest.model_validate(content | fields)
