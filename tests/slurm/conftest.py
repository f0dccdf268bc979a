"""A cluster for all tests of this folder, and an experiment that was run on it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import COMMAND, Cluster, missing
from helpers import ROOT, Checkout


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A SLURM of one node with two GPUs."""
    if reason := missing():
        if os.environ.get("SEGBENCH_REQUIRE_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    running = Cluster()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def finished(cluster, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the smallest experiment, with two seeds, was run on the cluster."""
    checkout = Checkout.copy_of(ROOT, tmp_path_factory.mktemp("finished") / "checkout")
    for name in ("smallest.yaml", "tiny_rural.yaml"):
        shutil.copy(ROOT / "tests" / name, checkout.root)
    checkout.edit("smallest.yaml", "seeds: [0]", "seeds: [0, 1]")
    checkout.edit("profiles/slurm/profile.yaml", "accounting = True ", "accounting = False")
    # a login node is slow to see its own files only where there is another one
    checkout.edit("profiles/slurm/profile.yaml", "latency-wait: 60", "latency-wait: 5")
    checkout.run(*COMMAND, expect=0)
    return checkout


@pytest.fixture
def longer(finished: Checkout, cluster: Cluster, tmp_path: Path) -> Checkout:
    """A copy of it whose one training is to be repeated, and takes a quarter of a minute."""
    target = tmp_path / "copy"
    shutil.copytree(finished.root, target, symlinks=True, copy_function=shutil.copy2)
    copy = Checkout(target)
    copy.edit("smallest.yaml", "  fast_scnn: fast_scnn_8xb4-160k_cityscapes-512x1024\n", "")
    copy.edit("smallest.yaml", "seeds: [0, 1]", "seeds: [0]")
    copy.edit("smallest.yaml", "max_iters: 6, val_interval: 3", "max_iters: 200, val_interval: 40")
    return copy
