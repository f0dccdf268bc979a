"""A paragraph of methods and a bibliography of what was used, ready to paste into a paper."""

import re
from collections.abc import Mapping, Sequence

from segbench.datasets.manifest import Manifest
from segbench.report.results import (
    Candidate,
    intervals_cover,
    package_versions,
    training_devices,
)
from segbench.scores.bootstrap import RESAMPLES
from segbench.zoo.papers import Paper, paper_of

TOOLS = {
    "molder2021snakemake": (
        "F. M{\\\"o}lder and others", "Sustainable data analysis with Snakemake", "2021",
        "https://doi.org/10.12688/f1000research.29032.2",
    ),
    "mmsegmentation": (
        "{MMSegmentation Contributors}",
        "MMSegmentation: OpenMMLab Semantic Segmentation Toolbox and Benchmark", "2020",
        "https://github.com/open-mmlab/mmsegmentation",
    ),
    "paszke2019pytorch": (
        "A. Paszke and others",
        "PyTorch: An Imperative Style, High-Performance Deep Learning Library", "2019",
        "https://arxiv.org/abs/1912.01703",
    ),
}  # fmt: skip
SPECIAL = re.compile(r"([&%$#_{}])")


def methods_page(
    candidates: Sequence[Candidate],
    manifest: Manifest,
    configs: Mapping[str, str],
) -> str:
    """The methods of a comparison as Markdown.

    Args:
        candidates: best first.
        manifest: of the dataset that they were compared on.
        configs: config of each model.
    """
    names = list(dict.fromkeys(one.model for one in candidates if not one.is_external))
    outside = [f"`{one.model}`" for one in candidates if one.is_external]
    versions = package_versions(candidates)
    sentences = [
        _data(manifest),
        f"We compared {_listed([f'`{configs.get(one, one)}`' for one in names])} of "
        f"MMSegmentation {versions.get('onedl-mmsegmentation', '?')} (PyTorch "
        f"{versions.get('torch', '?')}), {_starts(candidates)}, with "
        f"{_training(candidates)} on {_listed(training_devices(candidates))}.",
        _checkpoint(candidates),
        *[f"Predictions of {_listed(outside)} were made with other tools."] * bool(outside),
        "Scores are the mean intersection over union over the classes present in the "
        f"{candidates[0].scored_images}, from integer confusion matrices at the labels' own size.",
        f"Intervals are 95 % percentile intervals of {RESAMPLES:,} bootstrap draws over "
        f"{intervals_cover(candidates)}; pairs of models were scored on the same draws, and "
        "p-values corrected by Holm's procedure.",
    ]
    return "# Methods\n\n" + " ".join(sentences) + "\n"


def bibliography(configs: Mapping[str, str], citation: str = "") -> str:
    """BibTeX of the models' papers, of the tools, and of the dataset where it says its own.

    Args:
        configs: config of each model.
        citation: what the description of the dataset asks to cite.
    """
    entries = dict[str, str]()
    for model, config in configs.items():
        if (paper := paper_of(config)) and paper.title not in entries:
            entries[paper.title] = _entry(_key(model), paper)
    tools = [
        f"@misc{{{key},\n  author = {{{author}}},\n  title = {{{{{title}}}}},\n"
        f"  year = {{{year}}},\n  howpublished = {{\\url{{{url}}}}},\n}}\n"
        for key, (author, title, year, url) in TOOLS.items()
    ]
    data = [f"@misc{{dataset,\n  note = {{{_plain(citation)}}},\n}}\n"] if citation else []
    return "\n".join([*entries.values(), *tools, *data])


def _data(manifest: Manifest) -> str:
    splits = manifest.splits
    test = f" and {splits['test'].images:,} test" if "test" in splits else ""
    return (
        f"The dataset {manifest.name} has {splits['train'].images:,} training, "
        f"{splits['val'].images:,} validation{test} images and {len(manifest.classes)} classes "
        f"(SHA-256 {manifest.content_sha256[:16]})."
    )


def _starts(candidates: Sequence[Candidate]) -> str:
    words = {
        "scratch": "from random weights", "imagenet": "from ImageNet weights of the backbone",
        "finetuned": "fine-tuned", "zero_shot": "as published, without training (zero-shot)",
    }  # fmt: skip
    models = dict[str, dict[str, None]]()  # by starting point, in the order of the ranks
    for one in candidates:
        if not one.is_external:
            models.setdefault(one.initialization, {})[one.model] = None
    sets = {frozenset(names) for names in models.values()}
    if len(sets) == 1:
        return f"each {_listed([words.get(one, one) for one in models])}"
    return _listed([
        f"{words.get(one, one)} ({_listed([f'`{name}`' for name in names])})"
        for one, names in models.items()
    ])  # fmt: skip


def _training(candidates: Sequence[Candidate]) -> str:
    runs = [run for one in candidates for run in one.runs if run.record.is_trained]
    if not runs:
        return "no training"
    iterations = sorted({run.record.iterations for run in runs})
    batches = sorted({run.record.batch_size or 0 for run in runs})
    crops = sorted({run.record.crop_in_words(" pixels") for run in runs})
    seeds = len({run.seed for run in runs})
    return (
        f"{_listed(iterations)} iterations of {_listed(batches)} crops of {_listed(crops)} "
        f"and {seeds} {'seed' if seeds == 1 else 'seeds'}"
    )


def _checkpoint(candidates: Sequence[Candidate]) -> str:
    if not any(run.record.is_trained for one in candidates for run in one.runs):
        return "No checkpoint was chosen on these images."
    same = candidates[0].runs[0].scores.split == "val"
    more = ", on which models were then compared" if same else ""
    return f"Of each training the checkpoint with the best validation was kept{more}."


def _listed(values: Sequence[object]) -> str:
    words = [str(value) for value in values]
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def _entry(key: str, paper: Paper) -> str:
    url = f"  howpublished = {{\\url{{{paper.url}}}}},\n" if paper.url else ""
    return f"@misc{{{key},\n  title = {{{{{_plain(paper.title)}}}}},\n{url}}}\n"


def _key(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", model) or "model"


def _plain(text: str) -> str:
    """A text in which nothing is a command of LaTeX."""
    text = text.replace("\\", " ").replace("~", " ").replace("^", " ")
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
