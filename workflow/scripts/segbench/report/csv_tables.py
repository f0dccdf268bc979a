"""The tables of a comparison as CSV files hold them: fractions and plain units, a row per item.

Needs NumPy and pandas, never torch.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from segbench.report.results import Candidate, Difference
from segbench.scores import claims, metrics
from segbench.system.run_records import CostRecord

# columns of `models.csv`, by the entry of `cost.json` that they hold
COST_COLUMNS = {
    "latency_ms": "latency_ms",
    "latency_p95_ms": "latency_p95_ms",
    "images_per_second": "images_per_second",
    "images_at_once": "batch_size",
    "inference_memory_mb": "memory_mb",
}


def models_table(
    candidates: Sequence[Candidate], shown: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """`models.csv`: one row per model and initialization, fractions and plain units.

    Args:
        candidates: best first.
        shown: how classes are called now, by the names that the runs noted.
    """
    table = pd.DataFrame([_model_row(candidate, shown or {}) for candidate in candidates])
    ranks = claims.rank_intervals([candidate.draws.over_all for candidate in candidates])
    pairs = pairwise_table(candidates)
    # the first rows are the pairs with the best
    told_apart = pairs["p_holm"].iloc[: len(candidates) - 1] < claims.SIGNIFICANCE
    return table.assign(
        rank_low=[int(rank.low) for rank in ranks],
        rank_high=[int(rank.high) for rank in ranks],
        as_good_as_best=[True, *~told_apart],
    )


def _model_row(candidate: Candidate, shown: Mapping[str, str]) -> dict[str, object]:
    runs = candidate.runs
    summed = [run.confusion.sum(0) for run in runs]
    by_image = [metrics.image_wise_iou(run.confusion) for run in runs]
    interval = candidate.interval
    return {
        "model": candidate.model,
        "initialization": candidate.initialization,
        "runs": len(runs),
        "repeated_over": candidate.repeated_over,
        "miou": candidate.miou,
        # the spread of one run is unknown, not zero
        "miou_std": float(np.std(candidate.mious, ddof=1)) if len(runs) > 1 else np.nan,
        "miou_ci_low": interval.low,
        "miou_ci_high": interval.high,
        # over the classes that a source checkpoint can reach through the class map
        "miou_mapped": _mean([run.scores.miou_mapped for run in runs]),
        "unreachable": "; ".join(shown.get(name, name) for name in runs[0].scores.unreachable),
        "aacc": _mean([metrics.pixel_accuracy(counts) for counts in summed]),
        "macc": _mean([metrics.mean_over_classes(metrics.class_accuracy(c)) for c in summed]),
        "fwiou": _mean([metrics.frequency_weighted_iou(counts) for counts in summed]),
        "boundary_miou": _mean([one.boundary_miou for one in runs]),
        # over single images instead of all pixels
        "miou_images": _mean([float(one.mean()) for one in by_image]),
        "miou_worst_tenth": _mean([metrics.mean_of_worst(one) for one in by_image]),
        "classes_present": runs[0].scores.classes_present,
        "images": candidate.images,
        "iterations": runs[0].record.iterations,
        "still_rising": candidate.is_still_rising,
        "params": runs[0].scores.parameters,
        "checkpoint_mb": (runs[0].scores.checkpoint_bytes or np.nan) / 1e6,
        **_cost(runs[0].cost),
        "peak_memory_mb": max(run.record.peak_memory_mb or np.nan for run in runs),
        # what was not trained took no time that could be compared
        "train_minutes": (
            _mean([run.record.train_minutes for run in runs])
            if runs[0].record.iterations
            else np.nan
        ),
        "validation_share": _mean([run.record.validation_share for run in runs]),
        "device": runs[0].record.device,
    }


def _cost(cost: CostRecord | None) -> dict[str, object]:
    """What a prediction costs, by column; no numbers where that is not known."""
    known = {} if cost is None else cost.model_dump()
    # an integer beside a NaN would be written as a fraction
    return {"flops": known.get("flops")} | {
        column: known.get(key, np.nan) for column, key in COST_COLUMNS.items()
    }


def per_class_table(candidates: Sequence[Candidate], classes: Sequence[str]) -> pd.DataFrame:
    """`per_class.csv`: one row per run and class; an absent class has no IoU."""
    rows = []
    for candidate in candidates:
        for run in candidate.runs:
            counts = run.confusion.sum(0)
            columns = {
                "iou": metrics.class_iou(counts),
                "accuracy": metrics.class_accuracy(counts),
                "precision": metrics.class_precision(counts),
                "dice": metrics.class_dice(counts),
                "boundary_iou": run.boundary_iou(),
                "truth_pixels": counts.sum(1),
            }
            for i, name in enumerate(classes):
                rows.append(
                    {
                        "model": run.model,
                        "initialization": run.initialization,
                        "seed": run.seed,
                        **({} if run.fold is None else {"fold": run.fold}),
                        "class": name,
                        **{column: values[i] for column, values in columns.items()},
                    }
                )
    return pd.DataFrame(rows)


def runs_table(candidates: Sequence[Candidate]) -> pd.DataFrame:
    """`runs.csv`: one row per run."""
    return pd.DataFrame(
        {
            "model": run.model,
            "initialization": run.initialization,
            "seed": run.seed,
            **({} if run.fold is None else {"fold": run.fold}),
            "miou": run.miou,
            "aacc": float(metrics.pixel_accuracy(run.confusion.sum(0))),
            "best_iteration": run.record.best_iteration,
            "learning_rate": run.record.learning_rate,
            "batch_size": run.record.batch_size,
            "crop_size": "x".join(map(str, run.record.crop_size or ())),
            "train_minutes": run.record.train_minutes,
            "device": run.record.device,
            "digest": run.record.digest,
        }
        for candidate in candidates
        for run in candidate.runs
    )


def pairwise_table(candidates: Sequence[Candidate]) -> pd.DataFrame:
    """`pairwise.csv`: one row per pair, the better one first.

    `p_lead` is the chance that the first is ahead; `p_holm` is `p_value`, corrected for the number
    of pairs.
    """
    columns = ["model", "initialization", "other_model", "other_initialization",
               "miou_difference", "ci_low", "ci_high", "p_lead", "p_value"]  # fmt: skip
    rows = []
    for first, second in combinations(candidates, 2):
        ours, theirs = first.draws.over_all, second.draws.over_all
        difference = Difference(first, second)
        interval = difference.interval
        rows.append(
            [first.model, first.initialization, second.model, second.initialization,
             difference.miou, interval.low, interval.high,
             claims.chance_of_lead(ours, theirs), claims.p_value(ours - theirs)]
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=claims.holm(list(table["p_value"])))


def _mean(values: Sequence[npt.ArrayLike | None]) -> float:
    """Mean of numbers; NaN where one of them is not known."""
    return float(np.mean(np.array(values, np.float64)))
