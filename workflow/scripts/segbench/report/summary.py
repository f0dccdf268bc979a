"""The result in a sentence, with what it rests on: the report's first page, and a Markdown page.

Numbers come from the tables; nothing is computed here. Names are escaped.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from segbench.datasets.manifest import Manifest
from segbench.report import levels
from segbench.report.answers import answers
from segbench.report.columns import readable_models
from segbench.report.comparison import Comparison
from segbench.report.conditions import remarks_on
from segbench.report.results import (
    Candidate,
    Difference,
    package_versions,
    training_devices,
)
from segbench.report.slices import weak_spots
from segbench.report.tables import html_table, markdown_table, percent

# scores that may rank models otherwise, by their column in `models.csv`
OTHER_SCORES = {
    "fwiou": "frequency-weighted IoU",
    "aacc": "pixel accuracy",
    "macc": "mean accuracy",
    "boundary_miou": "boundary IoU",
    "miou_images": "the mean IoU of single images",
    "miou_worst_tenth": "the worst tenth of the images",
}
PAGE = "index.html"  # beside README.md
FEW_IMAGES = 10  # a bootstrap over fewer says little
# the page is 32 rem wide and the picture of the workflow stands right of it: a long name of a model
# is broken, and what is still too wide is scrolled
TABLE_STYLE = (
    "<style>.first-table { overflow-x: auto } "
    ".first-table td:first-child { overflow-wrap: anywhere; min-width: 8em }</style>"
)
# the report's template puts the bar chart in place of this comment
FIGURE_GOES_HERE = ".. bar chart"


def verdict(candidates: Sequence[Candidate], dataset: str) -> str:
    """Say which model is best, by how much, and whether that is more than chance.

    Args:
        candidates: best first.
        dataset: name of the dataset.
    """
    best = candidates[0]
    interval = best.interval
    text = (
        f"**{escaped(best.label)}** reaches {percent(best.miou)} % mean IoU on the "
        f"{best.scored_images} of {escaped(dataset)} (95 % interval {percent(interval.low)} to "
        f"{percent(interval.high)} % over {best.interval_covers}, {_seeds(best)})"
    )
    if len(candidates) == 1:
        return f"{text}. It is the only model of this experiment."
    difference = Difference(best, candidates[1])
    if difference.is_nothing:
        return f"{text}. {escaped(candidates[1].label)} **predicts exactly the same**."
    gap = difference.interval
    ahead = (
        f", {percent(difference.miou)} points ahead of {escaped(candidates[1].label)} "
        f"(paired 95 % interval {percent(gap.low)} to {percent(gap.high)} points)"
    )
    if len(best.best_run.confusion) < FEW_IMAGES:
        return f"{text}{ahead}. **Too few {best.scored_images}** to rely on it."
    return f"{text}{ahead}{_judgement(difference)}"


def incomplete(unfinished: Sequence[str]) -> list[str]:
    """Say that runs are left out of a comparison, as lines of either markup."""
    if not unfinished:
        return []
    names = escaped(", ".join(unfinished))
    return [f"**Incomplete**: without the unfinished runs {names}.", ""]


def _judgement(difference: Difference) -> str:
    """Whether a difference is more than chance, and what would settle it."""
    over = difference.first.repeated_over
    if not difference.is_clear and not difference.is_clear_on_images:
        return ": **too close to call** on these images."
    if not difference.is_clear or difference.is_mixed:
        return (
            f". The images tell the two apart, but the spread over {over} does not: "
            f"**train more {over}** before relying on it."
        )
    if min(len(difference.first.runs), len(difference.second.runs)) == 1:
        return ". With one seed each, this holds for these trainings, not for the models."
    return f": **a clear lead** on these images and {over}."


def remarks(candidates: Sequence[Candidate], manifest: Manifest) -> list[str]:
    """What is odd about a candidate, a sentence each; names are escaped."""
    names = manifest.class_names
    return [
        f"**{escaped(one.label)}** predicts {_class_said(one.only_class, names)} for every pixel: "
        "it has learnt nothing, or its starting point does not fit."
        for one in candidates
        if one.only_class is not None
    ] + [*_few_drives(candidates[0]), *_still_rising(candidates)]


def _few_drives(candidate: Candidate) -> list[str]:
    """Say that images are alike, and that their drives are too few to be drawn."""
    groups = candidate.runs[0].groups
    drives, images = len(set(groups)), len(groups)
    if candidate.drives_are_drawn or not 0 < drives < images:
        return []
    counted = "one drive" if drives == 1 else f"{drives} drives"
    return [
        f"The {images} {candidate.scored_images} come from {counted} only. Images of one "
        f"drive are alike, and so few drives cannot be drawn, so the intervals are over single "
        "images and most likely too narrow."
    ]


def _still_rising(candidates: Sequence[Candidate]) -> list[str]:
    """Say whose training may not have come to its end."""
    rising = [escaped(one.label) for one in candidates if one.is_still_rising]
    if not rising:
        return []
    trained = [run for one in candidates for run in one.runs if run.record.is_trained]
    count = sum(run.is_still_rising for run in trained)
    if count == len(trained):
        who = "All trainings were" if count > 1 else "The training was"
    elif len(rising) == sum(one.runs[0].record.is_trained for one in candidates):
        who = f"{count} of {len(trained)} trainings were"
    else:
        who = f"Trainings of {', '.join(rising)} were"
    return [
        f"**{who} best at the last validation**, so more iterations may give more, and another "
        "order."
    ]


def _weak_spots(best: Candidate, found: Sequence[str]) -> list[str]:
    if not found:
        return []
    return [f"**{escaped(best.label)}** is weakest on {escaped(' and on '.join(found))}."]


def other_winners(table: pd.DataFrame) -> list[str]:
    """Say where another score puts another model first, in a sentence; names are escaped.

    Args:
        table: `models.csv`, the best by mean IoU first.
    """
    winners = dict[tuple[str, str], list[str]]()
    for column, name in OTHER_SCORES.items():
        best = table.iloc[int(table[column].fillna(-1).argmax())]
        if best[column] > table[column].iloc[0]:
            winners.setdefault((best["model"], best["initialization"]), []).append(name)
    several = table["initialization"].nunique() > 1
    said = [
        f"by {', '.join(names)} it is **{escaped(' '.join(one if several else one[:1]))}**"
        for one, names in winners.items()
    ]
    return [f"The winner depends on the score: {'; '.join(said)}."] if said else []


def _class_said(index: int, names: Sequence[str]) -> str:
    return f"'{escaped(names[index])}'" if index < len(names) else "a class of the source alone"


def facts(candidates: Sequence[Candidate], manifest: Manifest) -> dict[str, str]:
    """Say what the numbers rest on: data, evaluation, training, seeds, hardware and packages."""
    # how another tool predicted is not how the others did
    run = next(one for one in candidates if not one.is_external).best_run
    splits = manifest.splits
    return {
        "data": f"{manifest.name}, {splits['train'].images} training and "
        f"{splits['val'].images} validation "
        + (f"and {splits['test'].images} test " if "test" in splits else "")
        + f"images, {len(manifest.classes)} classes, "
        f"{run.scores.classes_present} of them present in the {manifest.scored_images}",
        "evaluation": run.scores.protocol,
        "checkpoint": _checkpoint_fact(candidates),
        "training": "; ".join(_training_facts(candidate) for candidate in candidates),
        "seeds": ", ".join(map(str, sorted({r.seed for c in candidates for r in c.runs}))),
        "hardware": "; ".join(training_devices(candidates)),
        **_cost_fact(candidates),
        "packages": ", ".join(f"{n} {v}" for n, v in package_versions(candidates).items()),
        "content of the data": f"SHA-256 {manifest.content_sha256[:16]}...",
    }


def _cost_fact(candidates: Sequence[Candidate]) -> dict[str, str]:
    """How the costs were measured, if they were."""
    costs = [one.runs[0].cost for one in candidates]
    known = [cost for cost in costs if cost is not None]
    if not known:
        return {}
    sizes = sorted({f"{cost.size[0]}x{cost.size[1]}" for cost in known})
    devices = sorted({cost.device for cost in known})
    fewest = min(cost.passes for cost in known)
    return {
        "cost": f"median of {fewest} or more predictions of one image of {', '.join(sizes)} on "
        f"{'; '.join(devices)}, from the decoded image to class ids, while no other job of the "
        "workflow ran on the machine"
    }


def _checkpoint_fact(candidates: Sequence[Candidate]) -> str:
    """Which checkpoints are scored, and where they were chosen."""
    trained = any(run.record.is_trained for one in candidates for run in one.runs)
    taken = any(one.initialization == "zero_shot" for one in candidates)
    outside = [one.model for one in candidates if one.is_external]
    where = (
        "on the validation images, which are others than the test images that are scored here"
        if candidates[0].runs[0].scores.split == "test"
        else "on the same images as are scored here, which makes all scores slightly optimistic"
    )
    facts = [f"the best of the validations during training, chosen {where}"] * trained
    facts += ["zero-shot: that of the source as it is, chosen without these images"] * taken
    facts += [f"{name}: not known, predicted elsewhere" for name in outside]
    return "; ".join(facts)


def landing_page(compared: Comparison, table: pd.DataFrame) -> str:
    """The report's first page: verdict, table, protocol and warnings.

    Args:
        compared: the runs.
        table: `models.csv`.
    """
    candidates = compared.candidates
    lines = [f"{escaped(compared.experiment)}: {_title(candidates)}"]
    lines += ["=" * len(lines[0]), "", *findings(compared, table)]
    first_table = html_table(readable_models(table)[list(_narrow_columns(table))])
    lines += _raw_html(f'{TABLE_STYLE}\n<div class="first-table">\n{first_table}\n</div>')
    lines += ["", FIGURE_GOES_HERE, ""]
    starts = ["*Starting points*"] if _several_starts(candidates) else []
    lines += [f"Classes and their images are on a page of their own: `{PAGE} <{PAGE}>`_.", ""]
    menu = ", ".join(["*Comparison*", "*Dataset*", "*Images*", *starts])
    lines += [f"More is under {menu} and *Training* in the menu.", ""]
    lines += ["Protocol", "--------", ""]
    lines += [f":{name}: {escaped(text)}" for name, text in _facts(compared)]
    if compared.warnings:
        lines += ["", "Warnings about the data", "-----------------------", ""]
        lines += [
            f"* {escaped(found.problem)} ({found.count}): {escaped(found.remedy)}"
            for found in compared.warnings
        ]
    return "\n".join(lines) + "\n"


def markdown_page(compared: Comparison, table: pd.DataFrame) -> str:
    """The result as a Markdown page beside `tables/`, `figures/` and `gallery/`.

    Args:
        compared: the runs.
        table: `models.csv`.
    """
    candidates = compared.candidates
    # what reStructuredText escapes with a backslash, Markdown does too
    lines = [f"# {escaped(compared.experiment)}: {_title(candidates)}", ""]
    lines += findings(compared, table)
    lines += [f"Classes and their images, to click through: [{PAGE}]({PAGE})", ""]
    lines += ["![mean IoU](figures/models.png)", ""]
    if _several_starts(candidates):
        lines += ["![mean IoU by starting point](figures/initializations.png)", ""]
    lines += [markdown_table(readable_models(table)), ""]
    lines += ["![IoU per class](figures/per_class.png)", ""]
    lines += ["![curves of training](figures/training.png)", ""]
    if compared.under_conditions:
        lines += ["![when the images get worse](figures/conditions.png)", ""]
    if len(candidates) > 1:
        lines += ["![ranks](figures/ranks.png)", ""]
        lines += ["![half and whole training](figures/budget.png)", ""]
    lines += ["![predictions](gallery/predictions.png)", "", "## Protocol", ""]
    lines += [f"- {name}: {escaped(text)}" for name, text in _facts(compared)]
    return "\n".join(lines) + "\n"


def findings(compared: Comparison, table: pd.DataFrame) -> list[str]:
    """What all pages say first: lines of a markup that reStructuredText and Markdown share."""
    candidates, manifest = compared.candidates, compared.manifest
    said = [*incomplete(compared.unfinished), verdict(candidates, manifest.name), ""]
    remarked = [*remarks(candidates, manifest), *other_winners(table)]
    remarked += _weak_spots(candidates[0], weak_spots(compared.by_part, candidates[0]))
    more = [*levels.remarks_on(compared.at_levels), *remarks_on(compared.under_conditions)]
    remarked += map(_escaped_bold, more)
    remarked += [escaped(" ".join(compared.screening))] if compared.screening else []
    said += [line for one in remarked for line in (one, "")]
    return said + _starting_points(candidates)


def _facts(compared: Comparison) -> Iterable[tuple[str, str]]:
    return facts(compared.candidates, compared.manifest).items()


def _several_starts(candidates: Sequence[Candidate]) -> bool:
    return len({one.initialization for one in candidates if not one.is_external}) > 1


def _starting_points(candidates: Sequence[Candidate]) -> list[str]:
    """What each starting point is worth, as a list that both markups understand."""
    sentences = [f"* {_escaped_bold(sentence)}" for sentence in answers(candidates)]
    return ["What the starting point is worth:", "", *sentences, ""] if sentences else []


def _escaped_bold(sentence: str) -> str:
    """A sentence that begins with a name in bold, with everything else escaped."""
    _, name, rest = sentence.split("**", 2)
    gap = " " if rest.startswith(" ") else ""
    return f"**{escaped(name)}**{gap}{escaped(rest)}"


def escaped(text: str) -> str:
    """A text in which nothing is reStructuredText markup."""
    return re.sub(r"([\\*`_|<>:@\[\]])", r"\\\1", " ".join(text.split()))


def _title(candidates: Sequence[Candidate]) -> str:
    if not candidates[1:]:
        return "result"
    first, second = candidates[:2]
    if Difference(first, second).is_nothing:
        return f"{escaped(first.label)} and {escaped(second.label)} predict the same"
    return f"{escaped(first.label)} leads of {len(candidates)}"


def _seeds(candidate: Candidate) -> str:
    count = len(candidate.runs)
    if candidate.is_external:
        return "one set of predictions"
    if count == 1:
        return "one seed"
    low, high = min(candidate.mious), max(candidate.mious)
    over = candidate.repeated_over.replace("seeds and folds", "seeds times folds")
    return f"{count} {over} from {percent(low)} to {percent(high)} %"


def _training_facts(candidate: Candidate) -> str:
    record = candidate.runs[0].record
    if candidate.is_external:
        return f"{candidate.label} elsewhere"
    if not record.is_trained or record.crop_size is None:
        return f"{candidate.label} not at all"
    return (
        f"{candidate.label} {record.iterations} iterations, batch {record.batch_size}, "
        f"crop {record.crop_in_words()}, {record.optimizer} {record.learning_rate:.3g}, "
        f"{record.precision}{', compiled' * record.compiled}"
    )


def _narrow_columns(table: pd.DataFrame) -> Iterator[str]:
    """The columns that fit beside the report's picture of the workflow."""
    yield "model"
    if table["initialization"].nunique() > 1:
        yield "init."
    over = table["repeated_over"].iloc[0]
    yield from ("mean IoU %", "95 % interval", f"± over {over}", "ms/image")


def _raw_html(element: str) -> list[str]:
    return [".. raw:: html", "", *(f"   {line}" for line in element.splitlines())]
