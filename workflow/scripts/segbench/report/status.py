"""Draw where an experiment stands, once or again and again; the drawing is rich's."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from segbench.system.progress import duration
from segbench.system.run_status import STATES, ExperimentStatus, RunStatus, read_status

COLORS = {
    "training": "cyan", "evaluating": "blue", "stalled": "yellow", "failed": "red",
    "stopped": "yellow", "waiting": "dim", "trained": "green", "done": "green",
}  # fmt: skip
EVERY_SECONDS = 2.0
# of finished or waiting runs, beyond which only their number is shown
SHOWN_QUIET = 12
MOST_SHOWN = 100
QUIET = ("waiting", "trained", "done")
COLUMNS = ("run", "state", "progress", "done", "rate", "left", "loss", "mIoU", "device")
LEFT = ("run", "state", "progress", "device")
# the columns that a narrow terminal does without, in this order
GIVE_WAY = ("device", "progress", "loss", "rate")
WIDE = 1000


def show(results: Path, everything: bool = False, watch: bool = False) -> None:
    """Show an experiment on the terminal.

    Args:
        results: its folder.
        everything: every run, however many there are.
        watch: again every two seconds, until Ctrl-C.
    """
    console = Console()
    if not watch:
        if not console.is_terminal:  # what is read by a program, or kept in a file, has no width
            console = Console(width=WIDE)
        console.print(drawn(read_status(results), everything, console.width))
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            live.update(drawn(read_status(results), everything, console.width), refresh=True)
            time.sleep(EVERY_SECONDS)


def as_json(found: ExperimentStatus) -> str:
    """The same for programs: a list with an object per run."""
    rows = [
        {"run": run.run, "state": run.state, "silent_seconds": round(run.silent, 1),
         **({} if run.beat is None else run.beat.model_dump(exclude={"run", "state", "form"}))}
        for run in found.runs
    ]  # fmt: skip
    content = {
        "experiment": found.experiment, "seconds_left": found.seconds_left, "runs": rows
    }  # fmt: skip
    return json.dumps(content, indent=1)


def drawn(found: ExperimentStatus, everything: bool = False, width: int = WIDE) -> RenderableType:
    """A headline, a table of runs, and what failed.

    Args:
        found: where the experiment stands.
        everything: every run, also where many wait or are done.
        width: of the terminal in characters; columns give way where it is too narrow for all.
    """
    rows = list[RunStatus]()
    left_out = dict[str, int]()
    quiet = [run for run in found.runs if run.state in QUIET]
    for run in found.runs:
        is_quiet = run.state in QUIET and len(quiet) > SHOWN_QUIET
        if not everything and (is_quiet or len(rows) >= MOST_SHOWN):
            left_out[run.state] = left_out.get(run.state, 0) + 1
            continue
        rows.append(run)
    # some causes begin with the name of their run
    said = [
        Text(f"{run.run}: {run.beat.said.removeprefix(f'{run.run}: ')}", "red")
        for run in found.runs
        if run.state == "failed" and run.beat is not None
    ]
    more = ", ".join(f"{count} {state}" for state, count in left_out.items())
    notes = [Text(f"not listed: {more} (--all lists them)", "dim")] if more else []
    return Group(_headline(found), *([_table(rows, width)] if rows else []), *notes, *said)


def _table(runs: Sequence[RunStatus], width: int) -> Table:
    """A row for each run, in as many columns as a width has room for."""
    console = Console(width=WIDE)
    columns = list(COLUMNS)
    for gives_way in (None, *GIVE_WAY):
        columns = [column for column in columns if column != gives_way]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            side: JustifyMethod = "left" if column in LEFT else "right"
            header = "" if column == "progress" else column
            table.add_column(header, justify=side, overflow="fold", no_wrap=True)
        for run in runs:
            cells = dict(zip(COLUMNS, _cells(run), strict=True))
            table.add_row(*(cells[column] for column in columns))
        if console.measure(table).maximum <= width:
            break
    return table


def _headline(found: ExperimentStatus) -> Text:
    line = Text(f"{found.experiment}: ", "bold")
    for i, (state, count) in enumerate(found.counts.items()):
        line.append(", " * bool(i)).append(f"{count} {state}", COLORS[state])
    if any(STATES[run.state] for run in found.runs) and found.seconds_left is not None:
        line.append(f"; trainings take about {duration(found.seconds_left)} more")
    return line


def _cells(run: RunStatus) -> list[RenderableType]:
    beat, left = run.beat, run.seconds_left
    state = Text(run.state, COLORS[run.state])
    if run.state == "stalled":
        state.append(f" {duration(run.silent)}")
    if beat is None:
        return [Text(run.run), state, *[""] * (len(COLUMNS) - 2)]
    each = beat.seconds_each
    bar = ProgressBar(total=max(beat.total, 1), completed=beat.done, width=10)
    return [
        Text(run.run),
        state,
        bar if beat.total else "",
        f"{beat.done}/{beat.total}" if beat.total else "",
        f"{1 / each:.3g}/s" if each and run.state in ("training", "evaluating") else "",
        duration(left) if left is not None and run.state != "stalled" else "",
        "" if beat.loss is None else f"{beat.loss:.3f}",
        "" if beat.miou is None else f"{100 * beat.miou:.1f}",
        Text(_where(run)),
    ]


def _where(run: RunStatus) -> str:
    """The device, and the node where a scheduler chose it."""
    if run.beat is None:
        return ""
    job = f" job {run.beat.job}" if run.beat.job else ""
    return f"{run.beat.device}{f' on {run.beat.host}' if job else ''}{job}"
