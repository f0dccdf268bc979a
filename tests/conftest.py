"""What tests share: checkouts to run the workflow in, tiny datasets, and the real files."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import CONFIG, ROOT, Checkout, shared_file
from hypothesis import settings

# how long an example takes says more about the machine than about the code
settings.register_profile("segbench", deadline=None)
settings.load_profile("segbench")


def pytest_make_parametrize_id(config: pytest.Config, val: object) -> str | None:
    """Name a case by its value, where pytest would only number it."""
    return repr(val)[:80] if isinstance(val, dict | list | tuple) else None


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy of the repository without results, to edit and run."""
    return Checkout.copy_of(ROOT, tmp_path / "checkout")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the smallest experiment was run from end to end, really training."""
    return _made_once(tmp_path_factory, "finished", "all")


@pytest.fixture(scope="session")
def prepared_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the data of the smallest experiment were prepared, and no more."""
    return _made_once(tmp_path_factory, "prepared", "prepare")


def _made_once(tmp_path_factory: pytest.TempPathFactory, name: str, target: str) -> Checkout:
    """A checkout that all processes of pytest-xdist share; the first that needs it makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    checkout = Checkout(shared / name / "checkout")
    with FileLock(shared / f"{name}.lock"):
        if not (shared / f"{name}.done").exists():
            # what a process that was stopped left
            shutil.rmtree(checkout.root, ignore_errors=True)
            Checkout.copy_of(ROOT, checkout.root)
            shutil.copy(ROOT / "tests" / "smallest.yaml", checkout.root / "smallest.yaml")
            shutil.copy(ROOT / "tests" / "tiny_rural.yaml", checkout.root / "tiny_rural.yaml")
            checkout.run(target, "--cores", "2", *CONFIG, expect=0)
            (shared / f"{name}.done").touch()
    return checkout


@pytest.fixture
def finished_copy(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished checkout, to edit: file times and Snakemake's records included."""
    return finished.with_results(tmp_path / "copy")


@pytest.fixture(scope="session")
def idd_lite_archive() -> Path:
    """The real IDD Lite archive."""
    return shared_file("data/idd20k_lite.tar.gz")


@pytest.fixture(scope="session")
def idd_annotation() -> Path:
    """A real IDD annotation with 227 objects, 30 of them deleted."""
    return shared_file("data/frame0029_gtFine_polygons.json")


@pytest.fixture(scope="session")
def imagenet_weights() -> Path:
    """Real ImageNet weights of MobileNetV2."""
    return shared_file("weights/mobilenet_v2_imagenet.pth")


def pytest_configure() -> None:
    """Keep two cores from being oversubscribed by the libraries of every process."""
    beside_others = "PYTEST_XDIST_WORKER" in os.environ
    os.environ.setdefault("OMP_NUM_THREADS", "1" if beside_others else "2")
    # figures of what a prediction costs are not looked at
    os.environ.setdefault("SEGBENCH_COST_SHARE", "0.05")
    # threads that spin while they wait for each other starve the processes beside them
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
