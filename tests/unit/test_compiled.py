"""`compile: true`: the network of a training is compiled, and everything else stays as it is."""

import os
import shutil
import tempfile

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor

from segbench.config.schema import parse_section
from segbench.config.training import Training
from segbench.engine.compiled import (
    CACHE,
    compile_network,
    refuse_uncompiled,
    refuse_without_compiler,
)
from segbench.errors import ConfigError, ModelError

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="compiling needs g++, which is not installed"
)
NO_COMPILER = inductor.patch({"cpp.cxx": ("no-such-compiler",)})


class Segmentor(nn.Module):
    """A network with the parts that MMSegmentation's have."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.decode_head = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(4, 2, 1))
        self.auxiliary_head = nn.ModuleList([nn.Conv2d(4, 2, 1)])

    def maps(self, images):
        """As heads are called by segmentors of MMSegmentation: by their method."""
        features = self.backbone(images)
        return self.decode_head.forward(features), self.auxiliary_head[0].forward(features)


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """The same network twice, once compiled, and the folder of what was compiled."""
    monkeypatch.delenv(CACHE, raising=False)
    torch.manual_seed(0)
    plain, network = Segmentor(), Segmentor()
    network.load_state_dict(plain.state_dict())
    with inductor.patch(compile_threads=1, fallback_random=False):
        compile_network(network, tmp_path / "compiled", threads=1)
        yield plain, network, tmp_path / "compiled"
    os.environ.pop(CACHE, None)  # what was set is not left behind
    torch.compiler.reset()


@needs_compiler
def test_a_step_of_it_is_that_of_the_plain_network(compiled):
    plain, network, folder = compiled
    images = torch.rand(2, 3, 16, 16)
    for model in (plain, network):
        torch.manual_seed(1)  # of the dropout
        sum(found.square().mean() for found in model.maps(images)).backward()
    assert list(network.state_dict()) == list(plain.state_dict())
    for (name, one), other in zip(plain.named_parameters(), network.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6), name
    assert torch.allclose(plain.backbone[1].running_mean, network.backbone[1].running_mean)
    assert any(folder.rglob("*.cpp")), "nothing was compiled"


@needs_compiler
def test_scores_are_those_of_the_plain_network(compiled):
    plain, network, folder = compiled
    images = torch.rand(2, 3, 20, 24)
    plain.eval(), network.eval()
    assert all(map(torch.equal, plain.maps(images), network.maps(images)))
    assert not any(folder.rglob("*.cpp"))


def test_without_a_compiler_the_remedy_is_said(compiled):
    _, network, _ = compiled
    with NO_COMPILER, pytest.raises(RuntimeError, match="compiler") as failed:
        network.maps(torch.rand(2, 3, 16, 16))
    with pytest.raises(ModelError, match=r"m/scratch/seed0: `compile: true`.*apt install g\+\+"):
        refuse_uncompiled("m/scratch/seed0", failed.value)


@needs_compiler
def test_the_check_leaves_nothing_in_a_folder_of_all_users(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # read the variable again
    monkeypatch.delenv(CACHE, raising=False)
    refuse_without_compiler("m/scratch/seed0")
    assert list(tmp_path.iterdir()) == []
    # what was compiled a moment ago is no proof that it can be compiled now
    torch.compiler.reset()
    with (
        NO_COMPILER,
        pytest.raises(ModelError, match=r"m/scratch/seed0: `compile: true`.*apt install g\+\+"),
    ):
        refuse_without_compiler("m/scratch/seed0")


def test_other_errors_are_left_alone():
    refuse_uncompiled("m/scratch/seed0", RuntimeError("out of memory"))


def test_it_is_refused_for_several_gpus():
    training = {"compile": True, "gpus_per_run": 2}
    with pytest.raises(ConfigError, match="do not go together"):
        parse_section(Training, training, "training")


@pytest.mark.parametrize("key", ["compile", "deterministic"])
@pytest.mark.parametrize(("text", "meant"), [("true", True), ("False", False)])
def test_a_flag_may_be_text_as_the_command_line_gives_it(key, text, meant):
    assert getattr(parse_section(Training, {key: text}, "training"), key) is meant


def test_a_flag_that_is_neither_is_refused():
    with pytest.raises(ConfigError, match="`compile`: must be true or false, found 'perhaps'"):
        parse_section(Training, {"compile": "perhaps"}, "training")
