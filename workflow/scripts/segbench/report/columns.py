"""What of a comparison people read: the columns and units of the tables, as text."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segbench.report.results import Candidate
from segbench.report.tables import NOT_THERE, percent

# where slow passes took this many times as long as fast ones, the machine did other work
BUSY_FACTOR, BUSY_MARK = 2.0, "*"
EQUAL_MARK = " ="  # of a model that the data do not tell from the best
RISING_MARK = " \N{UPWARDS ARROW}"  # of one whose best validation was its last


def readable_models(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `models.csv` that people compare, as text."""
    readable = pd.DataFrame({"model": table["model"]})
    if table["initialization"].nunique() > 1:
        readable["init."] = table["initialization"]
    readable["rank"] = [
        f"{low}" if low == high else f"{low} to {high}"
        for low, high in zip(table["rank_low"], table["rank_high"], strict=True)
    ]
    others = table["as_good_as_best"] & (np.arange(len(table)) > 0)
    readable["mean IoU %"] = [
        f"{percent(value)}{EQUAL_MARK * is_equal}{RISING_MARK * is_rising}"
        for value, is_equal, is_rising in zip(
            table["miou"], others, table["still_rising"], strict=True
        )
    ]
    readable["95 % interval"] = [
        f"{percent(low)} to {percent(high)}"
        for low, high in zip(table["miou_ci_low"], table["miou_ci_high"], strict=True)
    ]
    if (table["unreachable"] != "").any():
        readable["over mapped classes %"] = [percent(value) for value in table["miou_mapped"]]
    over = table["repeated_over"].iloc[0]
    readable["runs" if "folds" in over else "seeds"] = [str(runs) for runs in table["runs"]]
    readable[f"± over {over}"] = [percent(value) for value in table["miou_std"]]
    readable["pixel acc. %"] = [percent(value) for value in table["aacc"]]
    readable["mean acc. %"] = [percent(value) for value in table["macc"]]
    readable["params M"] = [_scaled(value, 1e6) for value in table["params"]]
    readable["GFLOPs"] = [_scaled(value, 1e9) for value in table["flops"]]
    readable["ms/image"] = [
        NOT_THERE if np.isnan(low) else f"{low:.1f}{BUSY_MARK * (high > BUSY_FACTOR * low)}"
        for low, high in zip(table["latency_ms"], table["latency_p95_ms"], strict=True)
    ]
    readable["images/s"] = [_scaled(value, 1) for value in table["images_per_second"]]
    readable["memory GB"] = [_scaled(value, 1024) for value in table["peak_memory_mb"]]
    readable["training min"] = [
        f"{minutes:.1f}" if iterations else NOT_THERE
        for minutes, iterations in zip(table["train_minutes"], table["iterations"], strict=True)
    ]
    return readable


def readable_classes(candidates: Sequence[Candidate], table: pd.DataFrame) -> pd.DataFrame:
    """IoU per class, one row per class and one column per candidate, mean over the seeds."""
    readable = pd.DataFrame({"class": list(dict.fromkeys(table["class"]))})
    keys = table["model"] + "\n" + table["initialization"]
    for candidate in candidates:
        own = table[keys == f"{candidate.model}\n{candidate.initialization}"]
        means = own.groupby("class")["iou"].mean()
        readable[candidate.label] = [percent(means.get(name)) for name in readable["class"]]
    mean = {"class": "mean IoU"} | {c.label: percent(c.miou) for c in candidates}
    return pd.concat([readable, pd.DataFrame([mean])], ignore_index=True)


def best_models(table: pd.DataFrame, readable: pd.DataFrame) -> pd.DataFrame:
    """Which cells of the readable table are bold: those that the data do not tell from the best.

    Args:
        table: `models.csv`.
        readable: what people read of it.
    """
    best = pd.DataFrame(False, index=readable.index, columns=readable.columns)
    return best.assign(**{"mean IoU %": table["as_good_as_best"].astype(bool)})


def best_classes(readable: pd.DataFrame) -> pd.DataFrame:
    """Which cells of the table of classes are bold: the highest IoU of each class, if any."""
    numbers = readable.apply(pd.to_numeric, errors="coerce").assign(**{"class": np.nan})
    best: pd.DataFrame = numbers.eq(numbers.max(axis=1), axis=0) & numbers.gt(0)
    return best


def _scaled(value: float | None, unit: float) -> str:
    return NOT_THERE if value is None or np.isnan(value) else f"{value / unit:.2f}"
