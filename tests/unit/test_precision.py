"""Mixed precision where it is faster, decided once; what gives no number is computed again."""

from pathlib import Path

import pytest
import torch
from helpers import manifest_of, recipe_of
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from segbench.engine import precision as deciding
from segbench.engine.build import build_model, load_config
from segbench.engine.optimizers import build_optimizer, step_on
from segbench.engine.precision import Trial, faster, mixed_from, mixed_precision_of, precision_of
from segbench.recipe.render import render
from segbench.recipe.section import RunSection
from segbench.zoo.names import config_path

FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
SIZE = (64, 96)


@pytest.fixture
def config(tmp_path):
    """The rendered config of a training of Fast-SCNN."""

    def rendered(**options):
        settings = {"crop_size": SIZE, "batch_size": 2, "max_iters": 100} | options
        manifest_of(4).write(tmp_path / "manifest.json")
        recipe = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, **settings)
        path = tmp_path / "config.py"
        path.write_text(render(config_path(FAST_SCNN), tmp_path / "manifest.json", recipe))
        return load_config(path)

    return rendered


def batch():
    """Two random images with random labels."""
    random = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (2, 3, *SIZE), generator=random, dtype=torch.uint8)
    labels = torch.randint(0, 4, (2, 1, *SIZE), generator=random)
    about = {"img_shape": SIZE, "ori_shape": SIZE}
    samples = [SegDataSample(gt_sem_seg=PixelData(data=x), metainfo=about) for x in labels]
    return {"inputs": [*images], "data_samples": samples}


def never():
    raise AssertionError("no trial is needed")


@pytest.mark.parametrize(
    ("initialization", "expected"), [("scratch", 20), ("imagenet", 0), ("finetuned", 0)]
)
def test_trainings_from_random_weights_begin_in_float32(config, initialization, expected):
    section = RunSection.of(config(precision="bfloat16"))
    section = section.model_copy(update={"initialization": initialization})
    assert mixed_from(section) == expected


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_step_before_its_time_is_one_in_float32(config, precision):
    expected, _, loss = stepped(config(precision="float32"))
    model, optim, same = stepped(config(precision=precision), held_back=1)
    assert torch.equal(loss, same)
    state = expected.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert not optim.is_mixed
    step_on(model, batch(), optim)
    assert optim.is_mixed


def test_where_memory_is_too_small_for_float32_mixed_precision_begins_at_once(config, caplog):
    def too_large(model):
        def refuse(module, inputs, output):
            if output.dtype == torch.float32:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        next(m for m in model.modules() if isinstance(m, nn.Conv2d)).register_forward_hook(refuse)

    caplog.set_level("INFO")
    _, optim, loss = stepped(config(precision="bfloat16"), too_large, held_back=20)
    assert "memory is too small for a step in float32; bfloat16 begins at once" in caplog.text
    assert optim.is_mixed
    assert optim.inner_count == 1
    _, _, expected = stepped(config(precision="bfloat16"))
    assert torch.equal(loss, expected)


def test_what_does_not_fit_in_mixed_precision_either_is_said(config):
    def refuse(module, inputs, output):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def too_large(model):
        next(m for m in model.modules() if isinstance(m, nn.Conv2d)).register_forward_hook(refuse)

    with pytest.raises(torch.OutOfMemoryError):
        stepped(config(precision="bfloat16"), too_large, held_back=20)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"float32": 2.0, "bfloat16": 1.0}, "bfloat16"),
        ({"float32": 1.0, "bfloat16": 2.0}, "float32"),
        # within the noise of a trial
        ({"float32": 1.1, "bfloat16": 1.0}, "float32"),
        # what the model does not work in, or what memory is too small for, has no time
        ({"float32": 1.0}, "float32"),
        ({"bfloat16": 1.0}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_mixed_precision_is_taken_where_it_is_clearly_faster(seconds, expected):
    assert faster(seconds, "bfloat16") == expected
    halved = {"float32": "float32", "bfloat16": "float16"}
    assert faster({halved[k]: v for k, v in seconds.items()}, "float16") == halved[expected]


def test_a_device_without_mixed_precision_needs_no_trial(config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(deciding, "mixed_precision_of", lambda device: None)
    caplog.set_level("INFO")
    assert precision_of(config(), nn.Module(), never, "cpu", tmp_path / "kept") == "float32"
    assert not (tmp_path / "kept").exists()
    assert "m/scratch/seed0: float32, because this device does not compute in less" in caplog.text


@pytest.mark.parametrize(
    ("in_bfloat16", "capability", "expected"),
    [
        (True, (8, 0), "bfloat16"),  # Ampere
        (False, (7, 5), "float16"),  # Turing, such as a T4
        (False, (7, 0), "float16"),  # Volta
        (False, (6, 1), None),  # Pascal, which is slower in float16
    ],
)
def test_a_gpu_computes_in_what_it_has_tensor_cores_for(
    monkeypatch, in_bfloat16, capability, expected
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: in_bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert mixed_precision_of("cuda:0") == expected


@pytest.mark.parametrize("mixed", ["bfloat16", "float16"])
def test_processes_that_train_together_take_what_the_device_computes_in(
    config, tmp_path, monkeypatch, mixed
):
    monkeypatch.setattr(deciding, "mixed_precision_of", lambda device: mixed)
    found = precision_of(config(), nn.Module(), never, "cpu", tmp_path / "kept", may_try=False)
    assert found == mixed


@pytest.mark.parametrize("named", ["float32", "bfloat16", "float16"])
def test_a_precision_that_is_named_is_used(config, tmp_path, named):
    found = precision_of(config(precision=named), nn.Module(), never, "cpu", tmp_path / "kept")
    assert found == named


@pytest.mark.parametrize("mixed", ["bfloat16", "float16"])
def test_a_trial_serves_all_runs_of_a_model_and_a_damaged_one_is_made_anew(
    config, tmp_path, monkeypatch, mixed
):
    monkeypatch.setattr(deciding, "mixed_precision_of", lambda device: mixed)
    wanted, kept = config(precision="auto"), tmp_path / "kept"
    model, _ = build_model(wanted, 0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    first = precision_of(wanted, model, batch, "cpu", kept)
    (path,) = kept.glob("*.json")
    assert Trial.read(path).precision == first
    assert Trial.read(path).seconds.keys() == {"float32", mixed}
    # neither the model nor what it will draw is another after a trial
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    other = {"float32": mixed, mixed: "float32"}[first]
    Trial.read(path).model_copy(update={"precision": other}).write(path)
    assert precision_of(wanted, model, never, "cpu", kept) == other
    path.write_text("{")
    precision_of(wanted, model, batch, "cpu", kept)
    assert Trial.read(path).precision in {"float32", mixed}
    # another batch is another question
    precision_of(config(precision="auto", batch_size=4), model, batch, "cpu", kept)
    assert len([*kept.glob("*.json")]) == 2


def test_a_cpu_computes_in_bfloat16_if_it_says_so():
    about = Path("/proc/cpuinfo")
    flags = about.read_text() if about.is_file() else ""
    if "flags\t" not in flags:
        pytest.skip("not an x86 machine with Linux")
    has_instructions = "avx512_bf16" in flags or "amx_tile" in flags
    assert mixed_precision_of("cpu") == ("bfloat16" if has_instructions else None)


def stepped(config, spoil=None, held_back=0):
    """The model after a step from the same start, and the loss; something may spoil the step."""
    model, _ = build_model(config, 0)
    model.train()
    optim = build_optimizer(model, config)
    optim.mixed_from = held_back
    if spoil:
        spoil(model)
    torch.manual_seed(5)  # of its dropout
    loss = step_on(model, batch(), optim)["loss"]
    return model, optim, loss


def no_number_in_activations(model):
    """The first convolution gives a NaN, as long as it computes in 16 bits."""

    def spoil(module, inputs, output):
        if output.dtype.itemsize == 2:
            output[0, 0, 0, 0] = float("nan")
        return output

    next(m for m in model.modules() if isinstance(m, nn.Conv2d)).register_forward_hook(spoil)


def no_number_in_a_gradient(model):
    """The loss is sound, but a gradient is not, as long as it is computed in 16 bits."""

    def watch(module, inputs, output):
        if output.dtype.itemsize == 2:
            output.register_hook(lambda gradient: gradient * float("inf"))

    next(m for m in model.modules() if isinstance(m, nn.Conv2d)).register_forward_hook(watch)


@pytest.mark.parametrize(
    ("spoil", "precision"),
    [
        (no_number_in_activations, "bfloat16"),
        (no_number_in_a_gradient, "bfloat16"),
        (no_number_in_activations, "float16"),
    ],
)
def test_a_step_that_gives_no_number_is_computed_in_float32(config, spoil, precision, caplog):
    expected, _, loss = stepped(config(precision="float32"))
    caplog.set_level("INFO")
    model, optim, repeated = stepped(config(precision=precision), spoil)
    assert f"gave no number in {precision}; it is computed in float32" in caplog.text
    # weights, statistics and what dropout drew are those of a step in float32, to the bit
    assert torch.equal(loss, repeated)
    expected_state = expected.state_dict()
    assert all(torch.equal(expected_state[k], v) for k, v in model.state_dict().items())
    assert optim.is_mixed
    assert optim.inner_count == 1


def test_gradients_that_are_too_large_leave_the_step_out_and_halve_the_scale(config):
    """A scale that is too large is how float16 finds out which is not."""
    wanted = config(precision="float16")
    before, _ = build_model(wanted, 0)
    model, optim, loss = stepped(wanted, no_number_in_a_gradient)
    assert torch.isfinite(loss)
    assert optim.scaler.get_scale() == 2**16 / 2
    changed = dict(before.named_parameters())
    assert all(torch.equal(changed[name], p) for name, p in model.named_parameters())


def test_a_scaled_loss_gives_the_gradients_and_the_clipping_of_one_that_is_not(config):
    """A step is as long as in float32, and goes the same way but for the rounding of gradients."""
    clipped = {"optim_wrapper": {"clip_grad": {"_delete_": True, "max_norm": 0.01}}}
    start, _ = build_model(config(), 0)
    full, _, _ = stepped(config(precision="float32", overrides=clipped))
    model, _, _ = stepped(config(precision="float16", overrides=clipped))

    def moved(after):
        return torch.cat([
            (q - p).detach().flatten()
            for p, q in zip(start.parameters(), after.parameters(), strict=True)
        ])  # fmt: skip

    expected, found = moved(full), moved(model)
    assert float(found.norm()) == pytest.approx(float(expected.norm()), rel=0.02)
    assert float(functional.cosine_similarity(expected, found, dim=0)) > 0.9


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_mixed_step_that_gives_numbers_is_left_alone(config, precision, caplog):
    caplog.set_level("INFO")
    _, optim, mixed = stepped(config(precision=precision))
    _, _, full = stepped(config(precision="float32"))
    assert optim.is_mixed
    assert not caplog.text
    assert mixed != full
    assert float(mixed) == pytest.approx(float(full), rel=0.02)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_logits_are_enlarged_in_float32(config, precision):
    wanted = config(precision=precision)
    model, _ = build_model(wanted, 0)
    seen = []
    plain = model.decode_head.loss_decode.forward
    model.decode_head.loss_decode.forward = lambda logits, *a, **k: (
        seen.append(logits) or plain(logits, *a, **k)
    )
    before = functional.interpolate
    step_on(model.train(), batch(), build_optimizer(model, wanted))
    assert [logits.dtype for logits in seen] == [torch.float32]
    # enlarging in mixed precision would have left numbers of fewer bits
    assert not torch.equal(seen[0], seen[0].to(getattr(torch, precision)).float())
    assert functional.interpolate is before


def test_statistics_of_batch_normalisation_are_in_float32():
    """PyTorch sees to it; a mean that is rounded to eight bits would show here."""
    norm, random = nn.BatchNorm2d(4, momentum=1.0), torch.Generator().manual_seed(0)
    values = (torch.randn(8, 4, 33, 17, generator=random) + 100).bfloat16()
    values = values.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        norm(values)
    expected = values.double().mean((0, 2, 3))
    assert torch.allclose(norm.running_mean.double(), expected, rtol=1e-5)
