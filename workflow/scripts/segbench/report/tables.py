"""Tables for people: Markdown, LaTeX and HTML, in per cent, with units in the header.

CSV files hold fractions for programs; what is written here is for reading. Needs pandas.
"""

import html
from pathlib import Path

import numpy as np
import pandas as pd

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


def write_readable(table: pd.DataFrame, stem: Path, title: str, note: str) -> None:
    """Write a table of texts as `<stem>.md`, `<stem>.tex` and `<stem>.html`."""
    Path(f"{stem}.md").write_text(f"{markdown_table(table)}\n\n{note}\n", encoding="utf-8")
    latex = _latex_escaped(table).to_latex(
        index=False,
        column_format="l" + "r" * (table.shape[1] - 1),
        caption=_latex(note),
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
    with pd.option_context("display.max_colwidth", None):  # or long texts are cut
        element = str(table.to_html(index=False, border=0, escape=True))
    title = f"<caption>{html.escape(caption)}</caption>\n  " if caption else ""
    return element.replace("<thead>", f"{title}<thead>", 1)


def _latex_escaped(table: pd.DataFrame) -> pd.DataFrame:
    escaped = table.map(_latex)
    escaped.columns = [_latex(column) for column in table.columns]
    return escaped


def _latex(text: object) -> str:
    """A text in which nothing is a command of LaTeX.

    pandas escapes cells and headers but no captions, and leaves signs that older LaTeX lacks.
    """
    special: dict[str, str | int | None] = {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
        NOT_THERE: "--", "±": r"$\pm$", "\N{UPWARDS ARROW}": r"$\uparrow$",
    }  # fmt: skip
    return str(text).translate(str.maketrans(special))
