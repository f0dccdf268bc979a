"""The answer in words to whether fine-tuning, or training from the ground up, is worth it.

Numbers come from the comparison; names are escaped by the caller. Never imports torch.
"""

from collections.abc import Iterator, Mapping, Sequence

from segbench.report.results import Candidate, Difference
from segbench.report.tables import percent

NAMES = {
    "zero_shot": "as it is (zero-shot)",
    "finetuned": "fine-tuned",
    "imagenet": "from ImageNet",
    "scratch": "from scratch",
}


def answers(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Say for every model with several starting points what they are worth, a sentence each."""
    for model in dict.fromkeys(candidate.model for candidate in candidates):
        own = {c.initialization: c for c in candidates if c.model == model}
        if len(own) > 1:
            yield f"**{model}**: " + "; ".join(_parts(own)) + "." + _unreachable(own)


def _parts(own: Mapping[str, Candidate]) -> Iterator[str]:
    """Its scores, best first, and whether the first two differ by more than chance."""
    ranked = sorted(own.values(), key=lambda candidate: -candidate.miou)
    yield ", ".join(f"{NAMES[c.initialization]} {percent(c.miou)} %" for c in ranked) + " mean IoU"
    for first, second in _questions(own):
        difference = Difference(first, second)
        gap = difference.interval
        clear = "" if difference.is_clear else ", which chance can explain"
        yield (
            f"{NAMES[first.initialization]} against {NAMES[second.initialization]} "
            f"{100 * difference.miou:+.1f} points ({100 * gap.low:+.1f} to "
            f"{100 * gap.high:+.1f}{clear})"
        )


def _questions(own: Mapping[str, Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """The comparisons that people ask for, where both candidates were run."""
    for first, second in (
        ("finetuned", "zero_shot"),
        ("finetuned", "scratch"),
        ("finetuned", "imagenet"),
        ("imagenet", "scratch"),
    ):
        if first in own and second in own:
            yield own[first], own[second]


def _unreachable(own: Mapping[str, Candidate]) -> str:
    if "zero_shot" not in own:
        return ""
    names = own["zero_shot"].runs[0].scores.unreachable
    return f" Zero-shot cannot predict {', '.join(names)}." if names else ""
