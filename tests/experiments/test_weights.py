"""Weights that a run starts from are downloaded, verified and refused, by the rule itself."""

import hashlib
import io
import shutil

import pytest
import torch
import yaml
from file_server import serving
from helpers import ROOT, Checkout

CONFIG = "mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024"


def checkpoint() -> bytes:
    """ImageNet weights in form, random in content."""
    from mmseg.models.backbones import MobileNetV2

    torch.manual_seed(1)
    buffer = io.BytesIO()
    torch.save({"state_dict": MobileNetV2().state_dict()}, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def content() -> bytes:
    return checkpoint()


def with_weights(checkout: Checkout, file: str, **more: object) -> None:
    shutil.copy(ROOT / "tests/tiny_rural.yaml", checkout.root / "tiny_rural.yaml")
    settings = {
        "experiment": "weights",
        "dataset": "tiny_rural.yaml",
        "models": {"m": {"config": CONFIG, "backbone_weights": file}},
        "initializations": ["imagenet"],
        "training": {"crop_size": [64, 64], "batch_size": 2, "max_iters": 2, "val_interval": 2},
    } | more
    (checkout.root / "mine.yaml").write_text(yaml.safe_dump(settings))


RUN = ("--cores", "2", "--configfile", "mine.yaml")


def test_weights_are_downloaded_verified_and_loaded(checkout, content):
    name = f"backbone-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with serving(files={name: content}) as server:
        server.cuts = [len(content) // 2]
        with_weights(checkout, server.url(name))
        checkout.run("results/weights/check/m/imagenet.json", *RUN, expect=0)
        assert [request.range for request in server.requests] == [
            None, f"bytes={len(content) // 2}-",
        ]  # fmt: skip
    assert (checkout.root / f"resources/weights/{name}").read_bytes() == content
    report = (checkout.root / "results/weights/check/m/imagenet.json").read_text()
    assert "255 of 255 backbone entries loaded" in report
    # another experiment finds them there
    with_weights(checkout, server.url(name), experiment="other")
    assert "get_weights" not in checkout.pending(*RUN[2:]).values()


def test_weights_of_another_hash_are_refused(checkout, content):
    with serving(files={"backbone-0123abcd.pth": content}) as server:
        with_weights(checkout, server.url("backbone-0123abcd.pth"))
        done = checkout.run("resources/weights/backbone-0123abcd.pth", *RUN)
    assert done.returncode != 0
    assert hashlib.sha256(content).hexdigest() in done.stderr
    assert "0123abcd" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout.root / "resources/weights/backbone-0123abcd.pth").exists()


def test_weights_that_are_not_there_end_with_the_address(checkout):
    with serving(files={}) as server:
        with_weights(checkout, server.url("backbone-0123abcd.pth"))
        done = checkout.run("resources/weights/backbone-0123abcd.pth", *RUN)
    assert done.returncode != 0
    assert server.url("backbone-0123abcd.pth") in done.stderr
    assert "404" in done.stderr


def test_a_mirror_serves_a_machine_without_a_network(checkout, content):
    name = f"backbone-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (checkout.root / "mirror").mkdir()
    (checkout.root / "mirror" / name).write_bytes(content)
    # nothing listens on the port of discarded things
    with_weights(checkout, f"http://127.0.0.1:9/{name}", weights={"mirror": "mirror"})
    checkout.run(f"resources/weights/{name}", *RUN, expect=0)
    assert (checkout.root / f"resources/weights/{name}").read_bytes() == content


class Bomb:
    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_checkpoint_with_code_in_it_is_refused_before_training(checkout):
    Bomb.target = checkout.root / "executed"
    torch.save({"state_dict": Bomb()}, checkout.root / "evil.pth")
    with_weights(checkout, "evil.pth")
    done = checkout.run("results/weights/runs/m/imagenet/seed0/best.pth", *RUN)
    assert done.returncode != 0
    assert "evil.pth: refused" in done.stderr
    assert not Bomb.target.exists()
    assert not (checkout.root / "results/weights/runs/m/imagenet/seed0/best.pth").exists()
