"""The interactive page, used in a real browser: two clicks lead from the verdict to an image."""

import base64
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import Checkout

from segbench.datasets.meaning import Shown
from segbench.report import page_pictures
from segbench.report.comparison import Comparison
from segbench.report.gallery import draw_gallery
from segbench.report.page import ROOM, write_page
from segbench.report.plotting import read_label
from segbench.report.predictions import StoredPredictions
from segbench.report.record import ComparisonRecord

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = '</script><script>alert("a")</script><img src=x onerror=alert(1)>'
WIDTHS = [1400, 1024, 390]


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        message = "needs Chromium, as `apt-get install chromium` installs it"
        pytest.fail(message) if "SEGBENCH_REQUIRE_BROWSER" in os.environ else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, finished):
    """Open a page, and fail at the end if it complained, asked, or wanted anything else."""
    contexts, said = [], list[str]()

    def open_page(path: Path | None = None, width: int = 1400, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith("data:") else asked.append(r.url))
        asked = list[str]()
        page.goto((path or finished.root / "results/smallest/index.html").as_uri())
        page.asked = asked
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def compared(finished: Checkout, classes: list[Shown] | None = None) -> Comparison:
    results = finished.root / "results/smallest"
    record = ComparisonRecord.read(results / "tables/comparison.json")
    return Comparison.read(
        [run.key for run in record.runs],
        [results / "runs" / run.folder for run in record.runs],
        finished.root / "results/datasets/tiny_rural",
        classes or record.classes,
        experiment="smallest",
    )


def written(finished: Checkout, path: Path, **options: object) -> Path:
    write_page(
        compared(finished, options.pop("classes", None)), path,
        options.pop("dataset", finished.root / "results/datasets/tiny_rural"),
        finished.root / "workflow/report/page",
        [(finished.root / "results/smallest/figures/models.svg", EVIL, EVIL)], **options,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_asks_for_nothing_and_is_accessible(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator("#classes-table .row-button").first.click()
    page.locator("#class-detail .thumbs button").first.click()
    page.wait_for_selector("#viewer-panes canvas")
    for found in (Axe().run(page), page.keyboard.press("Escape") or Axe().run(page)):
        assert [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]] == []
    assert len(page.asked) == 1  # the file itself


def test_two_clicks_lead_to_the_worst_image_of_a_class(opened, finished):
    page = opened()
    page.get_by_role("button", name="drivable", exact=True).click()
    page.locator("#class-detail .thumbs button").first.click()
    page.wait_for_selector("#viewer-panes canvas")
    scores = []
    for model in ("cgnet", "fast_scnn"):
        folder = finished.root / f"results/smallest/runs/{model}/scratch/seed0"
        with np.load(folder / "confusion.npz") as stored:
            counts, names = stored["confusion"], stored["names"].tolist()
        hits = counts[:, 0, 0]
        scores.append(hits / (counts[:, 0].sum(1) + counts[:, :, 0].sum(1) - hits))
    worst = names[int(np.argmin(np.mean(scores, axis=0)))]
    assert page.locator("#viewer-title").inner_text() == worst
    assert page.locator("#viewer-panes .pane").count() == 4
    best = {"cgnet": scores[0], "fast_scnn": scores[1]}
    for text in page.locator("#viewer-panes .pane p").all_inner_texts()[2:]:
        model, said = text.split(": IoU ")
        assert float(said.split()[0]) == pytest.approx(
            100 * best[model][names.index(worst)], abs=0.051
        )


def test_the_map_of_errors_shows_what_is_missed_false_and_near_an_edge(opened, finished):
    page = opened()
    page.get_by_role("button", name="drivable", exact=True).click()
    page.locator("#class-detail .thumbs button").first.click()
    page.wait_for_selector("#viewer-panes canvas")
    page.locator("#viewer-opacity").fill("100")
    name = page.locator("#viewer-title").inner_text()
    first = page.locator("#viewer-panes .pane p").nth(2).inner_text().split(":")[0]
    shown = page.evaluate(
        """() => {
          const canvas = document.querySelectorAll("#viewer-panes canvas")[2];
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const count = (c) => { let n = 0;
            for (let i = 0; i < data.length; i += 4)
              n += data[i] === c[0] && data[i+1] === c[1] && data[i+2] === c[2];
            return n; };
          return ["right", "missed", "false", "boundary"].map((key) => count(ERRORS[key])); }"""
    )
    run = finished.root / f"results/smallest/runs/{first}/scratch/seed0"
    truth = read_label(finished.root / "results/datasets/tiny_rural", "val", name)
    predicted = StoredPredictions(run / "predictions.npz")[name]
    ours, theirs, seen = truth == 0, predicted == 0, truth != 255
    square = np.ones([2 * max(1, round(0.02 * np.hypot(*truth.shape))) + 1] * 2, np.uint8)
    near = cv2.dilate(truth, square) != cv2.erode(truth, square)
    missed, false = ours & ~theirs, ~ours & theirs & seen
    assert shown == [
        (ours & theirs).sum(), (missed & ~near).sum(), (false & ~near).sum(),
        ((missed | false) & near).sum(),
    ]  # fmt: skip
    assert shown[3] > 0


def test_tables_are_sorted_and_searched(opened, finished):
    page = opened()
    header = page.locator("#models-table thead button", has_text="mean IoU %").first
    rows = page.locator("#models-table tbody tr td:nth-child(2)")
    header.click()
    down = [float(text.split()[0]) for text in rows.all_inner_texts()]
    assert down == sorted(down, reverse=True)
    assert page.locator("#models-table th[aria-sort=descending]").count() == 1
    header.click()
    assert [float(text.split()[0]) for text in rows.all_inner_texts()] == sorted(down)
    page.locator("#images summary").click()
    names = compared(finished).candidates[0].best_run.names
    assert page.locator("#images-table tbody tr").count() == len(names)
    page.locator("#image-search").fill(names[3])
    assert page.locator("#images-table tbody th").all_inner_texts() == [names[3]]


def test_the_keyboard_is_enough(opened):
    page = opened()
    page.get_by_role("button", name="sky", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("#class-detail h3", has_text="sky").wait_for()
    # on from the title of the class to its first image
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open] canvas")
    first = page.locator("#viewer-title").inner_text()
    page.locator("#viewer-next").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("name => document.querySelector('#viewer-title').innerText !== name",
                           arg=first)  # fmt: skip
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("name => document.querySelector('#viewer-title').innerText === name",
                           arg=first)  # fmt: skip
    page.keyboard.press("Escape")
    assert page.locator("#viewer[open]").count() == 0


def test_names_are_text_and_never_markup(opened, finished, tmp_path):
    own = compared(finished).classes
    hostile = [(f"{EVIL} {i}", color) for i, (_, color) in enumerate(own)]
    page = opened(written(finished, tmp_path / "index.html", classes=hostile))
    page.locator("#classes-table .row-button").first.click()
    page.locator("#class-detail .thumbs button").first.click()
    page.wait_for_selector("#viewer-panes canvas")
    assert page.locator("#class-detail h3").first.inner_text() == f"{EVIL} 0"
    assert page.locator("#figures summary").first.inner_text() == EVIL
    assert page.locator("script").count() == 2


def test_captions_are_plain_text(opened, finished):
    page = opened(finished.root / "results/smallest/index.html")
    captions = page.locator("#figures figcaption").all_text_contents()
    assert len(captions) == page.locator("#figures figure").count() >= 3
    assert "initializations of smallest, best first" in captions[0]
    assert not [one for one in captions if "{{" in one or "``" in one]


def test_on_paper_every_figure_is_open(opened, finished, tmp_path):
    page = opened(finished.root / "results/smallest/index.html")
    assert page.locator("#figures details:not([open])").count() > 0
    page.pdf(path=tmp_path / "page.pdf")
    assert page.locator("#figures details:not([open])").count() == 0


def test_an_image_that_is_gone_leaves_a_placeholder_that_says_so(opened, finished, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(finished.root / "results/datasets/tiny_rural", dataset)
    gone, cut, *_ = sorted((dataset / "val_img").glob("*.jpg"))
    gone.unlink()
    cut.write_bytes(b"")
    (dataset / f"val_label/{gone.stem}.png").unlink()
    page = opened(written(finished, tmp_path / "index.html", dataset=dataset))
    shown = page.evaluate("data.pictures.map((one) => [one.name, one.image])")
    blanks = {name for name, image in shown if grey(image)}
    assert blanks == {gone.stem, cut.stem} & {name for name, _ in shown}
    assert blanks
    page.evaluate(f"viewer.open({[name for name, _ in shown].index(min(blanks))}, null)")
    page.wait_for_selector("#viewer-panes canvas")
    # in the figure, too
    candidates = compared(finished).candidates
    manifest = compared(finished).manifest
    draw_gallery(tmp_path / "g.png", candidates, dataset, manifest, "title", images=100)


def grey(address: str) -> bool:
    """Whether a picture is grey, apart from what JPEG does to it."""
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int)
    return bool((image.max(2) - image.min(2)).max() < 8)


def test_it_keeps_to_its_budget(finished, tmp_path):
    whole = written(finished, tmp_path / "whole.html")
    rows = page_pictures.pick(compared(finished).candidates).rows
    assert whole.read_text().count('"truth":') == len(rows)
    small = written(finished, tmp_path / "small.html", budget=ROOM + 20_000)
    assert 0 < small.read_text().count('"truth":') < len(rows)
    pictures = small.stat().st_size - written(
        finished, tmp_path / "none.html", budget=ROOM
    ).stat().st_size  # fmt: skip
    assert pictures < 22_000
