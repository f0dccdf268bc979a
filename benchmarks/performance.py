"""All that `docs/performance.md` says in figures: measured, kept, and written into the page.

    python benchmarks/performance.py          # about a quarter of an hour on two cores
    python benchmarks/performance.py --gpu    # on a machine with CUDA

Nothing else may run meanwhile. The figures of a CPU and of a GPU are kept beside one another in
docs/performance.json.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confusion
import loader
import step_profile
import stock

DOCS = Path(__file__).parents[1] / "docs"
PAGE, KEPT = DOCS / "performance.md", DOCS / "performance.json"
BEGIN, END = "<!-- figures of the {}: written by `make {}` -->", "<!-- end of figures -->"
TARGETS = {"cpu": "bench", "gpu": "bench-gpu"}


def main() -> None:
    """Measure this machine, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="this machine has a CUDA device")
    kind = "gpu" if parser.parse_args().gpu else "cpu"
    warnings.simplefilter("ignore")
    if (kind == "gpu") != has_gpu():
        sys.exit(
            "This machine has no CUDA device that PyTorch can use; run: make bench"
            if kind == "gpu"
            else "This machine has a CUDA device, and its CPU is not what trains; run: make "
            "bench-gpu. CUDA_VISIBLE_DEVICES='' measures the CPU."
        )
    began = time.perf_counter()
    found = measured(kind)
    found["minutes"] = round((time.perf_counter() - began) / 60, 1)
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    KEPT.write_text(json.dumps(kept | {kind: found}, indent=1) + "\n")
    write(kind, found)
    print(text(found))


def measured(kind: str) -> dict[str, Any]:
    """Every benchmark of the page, on this machine."""
    found: dict[str, Any] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    found["stock"] = stock.measured()
    found["loader"] = loader.measured()
    found["counting"] = confusion.measured()
    if kind == "cpu":
        found["profile"] = step_profile.measured()
    return found


def text(found: dict[str, Any]) -> str:
    """All tables of a machine in Markdown."""
    tables = {
        "Training and evaluation": stock.table(found["stock"]),
        "Reading": loader.table(found["loader"]),
        "Counting": confusion.table(found["counting"]),
    }
    if "profile" in found:
        tables["One step, before and after"] = step_profile.table(found["profile"])
    parts = [f"### {title}\n\n{table}" for title, table in tables.items()]
    said = f"{found['machine']}; {found['date']}; measured in {found['minutes']:g} minutes."
    return "\n\n".join([said, *parts])


def write(kind: str, found: dict[str, Any]) -> None:
    """Put the tables between the marks of a machine's kind in the page."""
    page, begin = PAGE.read_text(), BEGIN.format(kind.upper(), TARGETS[kind])
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n\n{text(found)}\n\n{END}{after}")


def has_gpu() -> bool:
    """Whether PyTorch finds a CUDA device."""
    import torch

    return torch.cuda.is_available()


def machine() -> str:
    """What it was measured on."""
    import torch

    from segbench.engine.precision import processor_name

    cores = f"{os.cpu_count()} cores of {processor_name()}"
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return f"{gpu}{cores}, PyTorch {torch.__version__}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
