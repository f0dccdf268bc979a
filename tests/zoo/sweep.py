"""Try every published model, and every config in config/models: adapt it, build it, train a step,
predict an image.

    python tests/zoo/sweep.py            goes on where it was stopped, then writes docs/md
    python tests/zoo/sweep.py ccnet vit  only configs with one of these words in their name

Outcomes are lines of JSON in `.zoo-sweep.jsonl`. A model that differs from one already tried in
nothing but its schedule or its published dataset is not tried again.
"""

import argparse
import gc
import hashlib
import json
import os
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from document import write_documents
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from segbench.config.training import Training
from segbench.datasets.manifest import Manifest
from segbench.engine.preflight import ModelCheck, preflight
from segbench.errors import ModelError
from segbench.recipe.context import Recipe
from segbench.recipe.render import adapted
from segbench.zoo.index import Published, all_published, needs_of, own_configs
from segbench.zoo.names import config_path, published_batch
from segbench.zoo.requirements import missing

ROOT = Path(__file__).resolve().parents[2]
CLASSES = (7, 26)
# crops are whole steps of every backbone, images divide by nothing, and neither is square;
# LR-ASPP pools 49x49 at an eighth of the resolution
CROPS = {"lraspp": (400, 416), "": (64, 96)}
IMAGES = {"lraspp": (395, 410), "": (75, 95)}
TOO_LARGE = "too large for a step in this sweep"
SOUND = ("works", "builds")
Options = argparse.Namespace
Results = dict[tuple[str, int], dict[str, Any]]
LARGE = ("large", "vit-l", "swin-l", "deit-b", "vit-b", "mit-b5", "base")  # worth counting first
MEMORY_BYTES = 14 << 30


class OutOfTimeError(BaseException):
    """Not an `Exception`, so that nothing on the way takes it for a fault of the model."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only configs with one of these in their name")
    parser.add_argument("--results", type=Path, default=ROOT / ".zoo-sweep.jsonl")
    parser.add_argument("--again", action="store_true", help="repeat what did not work")
    parser.add_argument("--seconds", type=int, default=900, help="time limit of one model")
    parser.add_argument("--parameters", type=float, default=500e6, help="build only beyond this")
    parser.add_argument(
        "--all-steps", action="store_true", help="take a step for 26 classes too, not only for 7"
    )
    options = parser.parse_args()
    # a model that is too large should fail by itself and not take the machine with it
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    torch.set_num_threads(1)
    init_default_scope("mmseg")
    results = read_results(options.results)
    os.chdir(ROOT)  # from where the paths of its own configs start
    listed = [*all_published(), *own_configs()]
    names = in_rounds(entry for entry in listed if entry.available)
    chosen = [n for n in names if not options.words or any(w in n for w in options.words)]
    if options.again:
        results = {k: r for k, r in results.items() if k[0] not in chosen or r["outcome"] in SOUND}
    with options.results.open("a", buffering=1) as file:

        def keep(result: dict[str, Any]) -> None:
            results[result["config"], result["classes"]] = result
            file.write(json.dumps(result) + "\n")
            print(*(result.get(k) for k in ("config", "classes", "outcome", "seconds")),
                  result["reason"][:150], flush=True)  # fmt: skip

        for classes in CLASSES:
            open_ones = [name for name in chosen if (name, classes) not in results]
            sweep(open_ones, classes, results, keep, options)
            write_documents(ROOT, results)


def sweep(
    names: list[str], classes: int, results: Results, keep: Callable[..., None], options: Options
) -> None:
    """Try each model that is not known yet, and give its outcome to all configs that have it."""
    known = {r["model"]: r for r in results.values() if r.get("model")}
    same: dict[str, list[str]] = {}
    for name in names:
        try:
            same.setdefault(digest(adapt(name, classes)), []).append(name)
        except ModelError as error:
            lacking = missing(needs_of(config_path(name)))
            keep({"config": name, "classes": classes, "outcome": "needs" if lacking else "fails",
                  "reason": _reason(error, name)})  # fmt: skip
    for model, configs in sorted(same.items(), key=lambda item: item[0] not in known):
        if model not in known:
            known[model] = try_model(configs.pop(0), classes, options) | {"model": model}
            keep(known[model])
        first = known[model]
        for name in configs:
            keep({k: first[k] for k in ("classes", "outcome", "reason", "parameters") if k in first}
                 | {"config": name, "same_as": first["config"]})  # fmt: skip


def in_rounds(entries: Iterable[Published]) -> list[str]:
    """Config names, first one of each family, then a second one of each, new backbones first."""
    seen: Counter[tuple[str, ...]] = Counter()
    places = {}
    for entry in sorted(entries, key=lambda e: "101" in e.backbone):
        key = (entry.family, entry.backbone)
        backbones = sum(family == entry.family for family, _ in seen if seen[family, _])
        seen[key] += 1
        places.setdefault(entry.config, (seen[key], backbones))
    return sorted(places, key=lambda name: places[name])


def read_results(path: Path) -> Results:
    lines = path.read_text().splitlines() if path.is_file() else []
    return {(r["config"], r["classes"]): r for r in map(json.loads, lines)}


def try_model(name: str, classes: int, options: Options) -> dict[str, Any]:
    began = time.monotonic()
    result: dict[str, Any] = {"config": name, "classes": classes, "reason": ""}
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(options.seconds)
    try:
        result |= _try(name, classes, options)
    except ModelError as error:
        result |= {"outcome": "fails", "reason": _reason(error, name)}
    except OutOfTimeError:
        result |= {"outcome": "fails", "reason": f"takes more than {options.seconds} s"}
    except Exception as error:
        result |= {"outcome": "fails", "reason": f"{type(error).__name__}: {error}"[:500]}
    finally:
        signal.alarm(0)
        gc.collect()
    return result | {"seconds": round(time.monotonic() - began, 1)}


def _try(name: str, classes: int, options: Options) -> dict[str, Any]:
    config = adapt(name, classes)
    if classes != CLASSES[0] and not options.all_steps:
        # the same layers are stepped with the first number of classes
        return {"parameters": count_parameters(config), "outcome": "builds"}
    if any(word in name for word in LARGE):
        parameters = count_parameters(config)
        if parameters > options.parameters:
            return {"outcome": "builds", "reason": TOO_LARGE, "parameters": parameters}
    with tempfile.TemporaryDirectory() as folder:
        config_path, report = Path(folder) / "config.py", Path(folder) / "report.json"
        config_path.write_text(str(config.dump()))
        preflight(config_path, write_manifest(Path(folder), name, classes), report)
        parameters = ModelCheck.read(report).parameters
    return {"outcome": "works", "parameters": parameters}


def adapt(name: str, classes: int) -> Config:
    recipe = Recipe(
        run=name,
        initialization="scratch",
        seed=0,
        training=Training(max_iters=100, batch_size=2, crop_size=of(name, CROPS)),
        published_batch=published_batch(name),
    )
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_manifest(Path(folder), name, classes)
        config = adapted(config_path(name), manifest, recipe)
    return config


def of(name: str, sizes: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """The size for a config: that of the first word in its name, else the common one."""
    return next(size for word, size in sizes.items() if word in name)


def write_manifest(folder: Path, name: str, classes: int) -> Path:
    path = folder / "manifest.json"
    listed = [{"name": f"class {i}", "color": [i, i, i]} for i in range(classes)]
    sizes = [[*of(name, IMAGES), 1]]
    counts = {
        "images": 1, "groups": 1, "class_pixels": [1] * classes, "class_images": [1] * classes,
        "pixels_where_seen": [1] * classes, "ignored_pixels": 0, "brightness": 0.5,
    }  # fmt: skip
    content = {
        "name": f"c{classes}", "classes": listed, "image_sizes": sizes,
        "splits": {"train": counts, "val": counts},
    }  # fmt: skip
    Manifest.model_validate(content).write(path)
    return path


def digest(config: Config) -> str:
    """Digest of what decides whether a model works: all but rates and lengths."""
    optimizer = config.optim_wrapper.to_dict()
    optimizer["optimizer"].pop("lr")
    kinds = [step["type"] for step in config.train_dataloader.dataset.pipeline]
    parts = [config.model.to_dict(), optimizer, kinds]
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


def count_parameters(config: Config) -> int:
    """Number of parameters, on the meta device where the model allows it."""
    try:
        with torch.device("meta"):
            model = MODELS.build(config.model.copy())
    except Exception:
        try:
            model = MODELS.build(config.model.copy())
        except Exception as error:
            raise ModelError(f"cannot be built: {type(error).__name__}: {error}") from None
    return sum(p.numel() for p in model.parameters())


def _reason(error: Exception, name: str) -> str:
    text = str(error).removeprefix(f"{name}: ").replace(f"{config_path(name)}: ", "")
    return " ".join(text.split())[:500]


def _out_of_time(*_: object) -> Iterator[None]:
    raise OutOfTimeError


if __name__ == "__main__":
    main()
