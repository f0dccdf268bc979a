"""Tables for people: Markdown, LaTeX and HTML, in per cent, with units in the header.

CSV files hold fractions for programs; what is written here is for reading. Needs pandas.
"""

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.results import Contender

NOT_THERE = "–"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1f2933; background: #fff; }}
table {{ border-collapse: collapse; }}
caption {{ text-align: left; font-weight: 600; padding-bottom: .6rem; }}
th, td {{ padding: .35rem .8rem; text-align: right; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
thead th {{ border-bottom: 2px solid #52606d; vertical-align: bottom; }}
tbody tr:nth-child(even) {{ background: #f3f5f7; }}
tbody td.best {{ font-weight: 700; }}
p {{ max-width: 46rem; color: #52606d; }}
</style></head><body>
{table}
<p>{note}</p>
</body></html>
"""


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent, a dash if there is none."""
    return NOT_THERE if value is None or np.isnan(value) else f"{100 * value:.{digits}f}"


def readable_models(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `models.csv` that people compare, as text."""
    readable = pd.DataFrame({"model": table["model"]})
    if table["initialization"].nunique() > 1:
        readable["init."] = table["initialization"]
    readable["mean IoU %"] = [percent(value) for value in table["miou"]]
    readable["95 % interval"] = [
        f"{percent(low)} to {percent(high)}"
        for low, high in zip(table["miou_ci_low"], table["miou_ci_high"], strict=True)
    ]
    readable["seeds"] = [str(runs) for runs in table["runs"]]
    readable["± over seeds"] = [percent(value) for value in table["miou_std"]]
    readable["pixel acc. %"] = [percent(value) for value in table["aacc"]]
    readable["mean acc. %"] = [percent(value) for value in table["macc"]]
    readable["params M"] = [f"{value / 1e6:.2f}" for value in table["params"]]
    readable["GFLOPs"] = [_scaled(value, 1e9) for value in table["flops"]]
    readable["ms/image"] = [f"{value:.1f}" for value in table["latency_ms"]]
    readable["memory GB"] = [f"{value / 1024:.2f}" for value in table["peak_memory_mb"]]
    readable["training min"] = [f"{value:.1f}" for value in table["train_minutes"]]
    return readable


def readable_classes(contenders: Sequence[Contender], table: pd.DataFrame) -> pd.DataFrame:
    """IoU per class, one row per class and one column per contender, mean over the seeds."""
    readable = pd.DataFrame({"class": list(dict.fromkeys(table["class"]))})
    keys = table["model"] + "\n" + table["initialization"]
    for contender in contenders:
        own = table[keys == f"{contender.model}\n{contender.initialization}"]
        means = own.groupby("class")["iou"].mean()
        readable[contender.label] = [percent(means.get(name)) for name in readable["class"]]
    mean = {"class": "mean IoU"} | {c.label: percent(c.miou) for c in contenders}
    return pd.concat([readable, pd.DataFrame([mean])], ignore_index=True)


def write_readable(table: pd.DataFrame, stem: Path, title: str, note: str) -> None:
    """Write a table of texts as `<stem>.md`, `<stem>.tex` and `<stem>.html`."""
    Path(f"{stem}.md").write_text(f"{markdown_table(table)}\n\n{note}\n", encoding="utf-8")
    latex = _latex_escaped(table).to_latex(
        index=False,
        column_format="l" + "r" * (table.shape[1] - 1),
        caption=note.replace("%", r"\%"),
    )
    Path(f"{stem}.tex").write_text(latex, encoding="utf-8")
    page = PAGE.format(
        title=html.escape(title), table=html_table(table, title), note=html.escape(note)
    )
    Path(f"{stem}.html").write_text(page, encoding="utf-8")


def markdown_table(table: pd.DataFrame) -> str:
    """A table of texts in Markdown."""
    aligned = ["left" if i == 0 else "right" for i in range(table.shape[1])]
    cells = table.replace(r"\|", r"\|", regex=True)
    return str(cells.to_markdown(index=False, colalign=aligned, disable_numparse=True))


def html_table(table: pd.DataFrame, caption: str = "") -> str:
    """A table of texts as an HTML element, with everything escaped."""
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in table.columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


def _latex_escaped(table: pd.DataFrame) -> pd.DataFrame:
    special = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {NOT_THERE: "--", "±": r"$\pm$"})
    escaped = table.map(lambda cell: str(cell).replace("\\", "").translate(special))
    escaped.columns = [str(c).replace("\\", "").translate(special) for c in table.columns]
    return escaped


def _scaled(value: float | None, unit: float) -> str:
    return NOT_THERE if value is None or np.isnan(value) else f"{value / unit:.2f}"
