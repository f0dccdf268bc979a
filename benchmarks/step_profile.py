"""Where the time of a training step goes on a CPU: as MMSegmentation computes it, and as we do.

The same model, batch and optimizer in float32, once laid out as it is built and with memory that
goes back to the system after each tensor, once as a training of ours has both. Each side runs in a
process of its own under PyTorch's profiler.

    python benchmarks/step_profile.py [MODEL]
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from timing import MODELS

MODEL, CROP, BATCH = "segformer_b0", (192, 256), 8
WARM_UP, STEPS = 2, 6
SIDES = ("MMSegmentation", "segbench")
# beginnings of the names of operations; what is none of these is `other`
KINDS = {
    "convolutions, forward": ("mkldnn_convolution", "_slow_conv", "thnn_conv", "convolution"),
    "convolutions, backward": ("convolution_backward", "mkldnn_convolution_backward"),
    "matrix products, attention": (
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "mkldnn_linear",
        "_scaled_dot",
        "_flash",
        "_softmax",
    ),
    "normalisation": ("native_batch_norm", "native_layer_norm", "native_group_norm"),
    "enlarging maps": ("upsample", "_upsample"),
    "loss": ("_log_softmax", "nll_loss"),
    "copies, sums and fills": ("copy_", "cat", "fill_", "zero_", "add", "mul", "sum", "clone"),
    "activations": ("relu", "threshold", "gelu", "hardtanh", "silu", "sigmoid"),
    "optimizer": ("_foreach", "_fused_adam", "Optimizer"),
}


def main() -> None:
    """Profile both sides, and print a table."""
    warnings.simplefilter("ignore")
    if "--side" in sys.argv:
        print("MEASURED", json.dumps(profiled(*sys.argv[2:])))
        return
    model = sys.argv[1] if len(sys.argv) > 1 else MODEL
    print(table(measured(model), model))


def measured(model: str = MODEL) -> dict[str, dict[str, float]]:
    """Milliseconds of a step by kind of operation, on each side; and page faults."""
    found = {}
    for side in SIDES:
        command = [sys.executable, "-W", "ignore", __file__, "--side", side, model]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{side}: {done.stderr[-2000:]}")
        found[side] = json.loads(done.stdout.rpartition("MEASURED")[2])
    return found


def profiled(side: str, model: str) -> dict[str, float]:
    """That of one side, in this process."""
    import torch
    from step import Way

    from segbench.engine.shortcuts.take import leave_out_accuracies
    from segbench.system.allocator import keep_freed_memory

    is_ours = side == "segbench"
    way = Way(model, CROP, BATCH, "cpu", shortcuts=is_ours)
    if is_ours:
        keep_freed_memory()
        leave_out_accuracies()
    else:
        way.model.to(memory_format=torch.contiguous_format)
    for _ in range(WARM_UP):
        way.step()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(STEPS):
        way.step()
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(STEPS):
            way.step()
    times = Counter[str]()
    for event in profile.key_averages():
        times[kind(event.key)] += event.self_cpu_time_total / 1000 / STEPS
    # the profiler itself takes time; the shares are its own, the sum is that of the steps without
    whole = 1000 * took / STEPS
    scale = whole / sum(times.values())
    return {name: scale * each for name, each in times.items()} | {
        "whole step": whole,
        "page faults": (after.ru_minflt - before.ru_minflt) / STEPS,
    }


def kind(name: str) -> str:
    """Of an operation of PyTorch."""
    operation = name.removeprefix("aten::")
    fitting = [
        (len(beginning), one)
        for one, beginnings in KINDS.items()
        for beginning in beginnings
        if operation.startswith(beginning)
    ]
    return max(fitting, default=(0, "other"))[1]


def table(found: dict[str, dict[str, float]], model: str = MODEL) -> str:
    """All figures in Markdown."""
    before, after = (found[side] for side in SIDES)
    names = sorted({*before, *after} - {"whole step", "page faults"}, key=lambda n: -before[n])
    return "\n".join([
        "| a step's ms in | stock | segbench |",
        "|:--|--:|--:|",
        *(f"| {name} | {before.get(name, 0):.0f} | {after.get(name, 0):.0f} |" for name in names),
        f"| **whole step** | {before['whole step']:.0f} | {after['whole step']:.0f} |",
        f"| page faults | {before['page faults']:,.0f} | {after['page faults']:,.0f} |",
        "",
        f"Protocol: {MODELS[model]}, float32, batch {BATCH}, crop {CROP[1]}x{CROP[0]}, AdamW, mean "
        f"of {STEPS} steps.",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
