"""Tables for people: Markdown, LaTeX and HTML, in per cent, with units in the header.

CSV files hold fractions for programs; what is written here is for reading. Needs pandas.
"""

import html
from pathlib import Path

import numpy as np
import pandas as pd

NOT_THERE = "–"
# around what is bold, until it is known how that is written
BOLD, PLAIN = "\N{START OF TEXT}", "\N{END OF TEXT}"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1f2933; background: #fff; }}
table {{ border-collapse: collapse; }}
caption {{ text-align: left; font-weight: 600; padding-bottom: .6rem; }}
th, td {{ padding: .35rem .8rem; text-align: right; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
thead th {{ border-bottom: 2px solid #52606d; vertical-align: bottom; }}
tbody tr:nth-child(even) {{ background: #f3f5f7; }}
p {{ max-width: 46rem; color: #52606d; }}
</style></head><body>
{table}
<p>{note}</p>
</body></html>
"""


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent, a dash if there is none."""
    return NOT_THERE if value is None or np.isnan(value) else f"{100 * value:.{digits}f}"


def write_readable(
    table: pd.DataFrame, stem: Path, title: str, note: str, best: pd.DataFrame
) -> None:
    """Write a table of texts as `<stem>.md`, `<stem>.tex` and `<stem>.html`.

    Args:
        table: of texts.
        stem: of the files.
        title: of the page.
        note: what stands below the table.
        best: which cells are bold, of the same shape.
    """
    page = markdown_table(table.mask(best, "**" + table + "**"))
    Path(f"{stem}.md").write_text(f"{page}\n\n{note}\n", encoding="utf-8")
    marked = table.mask(best, BOLD + table + PLAIN)
    latex = _latex_escaped(marked).to_latex(
        index=False,
        column_format="l" + "r" * (table.shape[1] - 1),
        caption=_latex(note),
    )
    page = PAGE.format(
        title=html.escape(title), table=html_table(marked, title), note=html.escape(note)
    )
    for ending, text, bold, plain in (
        ("tex", latex, r"\textbf{", "}"),
        ("html", page, "<b>", "</b>"),
    ):
        whole = text.replace(BOLD, bold).replace(PLAIN, plain)
        Path(f"{stem}.{ending}").write_text(whole, encoding="utf-8")


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
