"""The dataset card: what is in a prepared dataset, as a page, a figure and sample pictures.

Reads the manifest, the frame table and a few images. Needs matplotlib and seaborn, never torch.
"""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from segbench.datasets.check import findings_in, read_frames
from segbench.datasets.findings import Finding
from segbench.datasets.manifest import SPOKEN, Manifest
from segbench.datasets.meaning import Shown
from segbench.report.parts import parts_of
from segbench.report.plotting import class_handles, color_table, read_image, read_label, save
from segbench.report.tables import PAGE, html_table, percent

SAMPLES_PER_SPLIT = 3
COLORS = ("#3b6ea5", "#e0a030", "#5b8c5a")  # of the splits


def write_card(
    manifest_path: Path,
    frames_path: Path,
    about: Mapping[str, str],
    classes: Sequence[Shown],
    folder: Path,
) -> None:
    """Write `card.html`, `classes.svg` and `.png`, and `samples.png`.

    Args:
        manifest_path: `manifest.json` of the prepared dataset, beside its images.
        frames_path: its `frames.csv`.
        about: what its description says of it, such as its licence.
        classes: names and colours of its classes.
        folder: where to write.
    """
    manifest = Manifest.read(manifest_path).shown_with(classes)
    frames = read_frames(frames_path)
    warnings = findings_in(manifest, frames)
    (folder / "card.html").write_text(page(manifest, warnings, about, frames), encoding="utf-8")
    save(plot_classes(manifest), folder / "classes.svg")
    samples = plot_samples(manifest, manifest_path.parent)
    samples.savefig(folder / "samples.png", dpi=110)
    plt.close(samples)


def page(
    manifest: Manifest,
    warnings: Sequence[Finding],
    about: Mapping[str, str],
    frames: pd.DataFrame,
) -> str:
    """Write the card as an HTML page: counts, sizes, classes, parts, warnings and provenance.

    Args:
        manifest: of the dataset.
        warnings: what its checks found.
        about: what its description says of it.
        frames: its `frames.csv`.
    """
    parts = [
        html_table(_facts(manifest), f"Dataset {manifest.name}"),
        _about(about),
        html_table(_class_shares(manifest), "Classes"),
        _parts(manifest, frames),
        _warnings(warnings),
    ]
    note = (
        f"Prepared from {_source(manifest)}; images placed by "
        f"{', '.join(manifest.images_placed_by)}. SHA-256 of what a model sees: "
        f"{manifest.content_sha256}."
    )
    title = html.escape(f"Dataset {manifest.name}")
    return PAGE.format(title=title, table="<br>".join(parts), note=html.escape(note))


def plot_classes(manifest: Manifest) -> Figure:
    """Draw the classes' shares of pixels and images in each split, and which are seen together."""
    sns.set_theme(style="whitegrid", context="notebook")
    shares = _shares(manifest)
    names = list(manifest.class_names)
    height = 1.8 + 0.42 * len(names)
    figure, axes = plt.subplots(
        1, 3, figsize=(16, height), width_ratios=(1, 1, 1.25), layout="constrained"
    )
    for axis, column, label in ((axes[0], "pixels", "of the labelled pixels, %"),
                                (axes[1], "images", "of the images, %")):  # fmt: skip
        sns.barplot(
            shares,
            y="class",
            x=column,
            hue="split",
            ax=axis,
            palette=COLORS[: len(manifest.splits)],
        )
        axis.set(xlabel=label, ylabel="")
        handles, labels = axis.get_legend_handles_labels()
        axis.get_legend().remove()
    axes[1].set_yticklabels([])
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.28, 1.0), ncols=2, frameon=False
    )
    counts = np.asarray(manifest.cooccurrence, float)
    seen = np.diag(counts)[:, None]
    together = np.divide(100 * counts, seen, out=np.full_like(counts, np.nan), where=seen > 0)
    sns.heatmap(
        pd.DataFrame(together, index=names, columns=names), ax=axes[2], cmap="crest", vmin=0,
        vmax=100, annot=len(names) <= 12, fmt=".0f", linewidths=1,
    )  # fmt: skip
    axes[2].set_title("of the images with the row's class, % that show the column's", fontsize=11)
    axes[2].set_xticklabels(axes[2].get_xticklabels(), rotation=40, ha="right")
    axes[2].set_yticklabels(axes[2].get_yticklabels(), rotation=0)
    figure.suptitle(f"{manifest.name}: classes", x=0.01, ha="left")
    sns.despine(figure)
    return figure


def plot_samples(manifest: Manifest, dataset: Path) -> Figure:
    """Draw images of every split with their labels laid over them."""
    colors = color_table(manifest)
    height, width = manifest.common_size
    figure, grid = plt.subplots(
        len(manifest.splits), SAMPLES_PER_SPLIT, squeeze=False, layout="constrained",
        figsize=(
            4.2 * SAMPLES_PER_SPLIT, len(manifest.splits) * (4.2 * height / width + 0.3) + 0.9
        ),
    )  # fmt: skip
    for row, split in enumerate(manifest.splits):
        names = (dataset / "splits" / f"{split}.txt").read_text().splitlines()
        chosen = np.linspace(0, len(names) - 1, min(SAMPLES_PER_SPLIT, len(names))).round()
        for axes in grid[row]:
            axes.set_axis_off()
        for axes, index in zip(grid[row], chosen.astype(int), strict=False):
            name = names[index]
            picture = overlay(
                read_image(dataset, split, name), read_label(dataset, split, name), colors
            )
            axes.imshow(picture)
            axes.set_title(f"{SPOKEN[split]}: {name}", fontsize=10, loc="left")
    figure.legend(handles=class_handles(manifest), loc="outside lower left", ncols=8, frameon=False)
    figure.suptitle(f"{manifest.name}: images with their labels", x=0.005, ha="left")
    return figure


def overlay(
    image: npt.NDArray[np.uint8], label: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Lay the colours of a label over its image, void ones left out."""
    mixed = cv2.addWeighted(image, 0.45, colors[label], 0.55, 0)
    shown = np.where((label == 255)[..., None], image, mixed)
    return np.asarray(shown, np.uint8)


def _facts(manifest: Manifest) -> pd.DataFrame:
    sizes = manifest.image_sizes
    common = ", ".join(f"{w}x{h} ({count})" for h, w, count in sizes[:3])
    rows = []
    for split, summary in manifest.splits.items():
        labelled = sum(summary.class_pixels)
        ignored = summary.ignored_pixels / (labelled + summary.ignored_pixels)
        rows.append(
            {
                "split": SPOKEN[split],
                "images": f"{summary.images:,}",
                "drives or sequences": f"{summary.groups:,}",
                "void pixels %": percent(ignored),
                "mean brightness %": percent(summary.brightness),
                "image sizes (all splits)": common + (", ..." if len(sizes) > 3 else ""),
            }
        )
    return pd.DataFrame(rows)


def _shares(manifest: Manifest) -> pd.DataFrame:
    """Shares of pixels and of images by class and split, in per cent."""
    rows = []
    for split, summary in manifest.splits.items():
        total = sum(summary.class_pixels) or 1
        for found, pixels, images in zip(
            manifest.classes, summary.class_pixels, summary.class_images, strict=True
        ):
            share = 100 * images / summary.images
            rows.append((found.name, SPOKEN[split], 100 * pixels / total, share))
    return pd.DataFrame(rows, columns=["class", "split", "pixels", "images"])


def _class_shares(manifest: Manifest) -> pd.DataFrame:
    shares = _shares(manifest).set_index(["split", "class"]).to_dict()
    return pd.DataFrame(
        {
            "class": found.name,
            **{
                f"{spoken} {column} %": f"{shares[column][spoken, found.name]:.2f}"
                for column in ("pixels", "images")
                for spoken in map(SPOKEN.get, manifest.splits)
            },
        }
        for found in manifest.classes
    )


def _parts(manifest: Manifest, frames: pd.DataFrame) -> str:
    """The parts on which models are scored as well, as a table; nothing where there are none."""
    own = frames[frames["split"] == manifest.scored_split]
    found = [
        {
            "by": part.by,
            "part": part.name,
            "images": f"{part.rows.sum():,}",
            "mean brightness %": percent(float(own["brightness"].to_numpy()[part.rows].mean())),
        }
        for part in parts_of(own, own["name"].tolist())
    ]
    title = f"Parts of the {manifest.scored_images} that are scored on their own"
    return html_table(pd.DataFrame(found), title) if found else ""


def _about(about: Mapping[str, str]) -> str:
    """What the description says of the dataset as a list, nothing if it is silent."""
    items = "".join(
        f"<li><b>{html.escape(key)}</b>: {html.escape(text)}</li>" for key, text in about.items()
    )
    return f"<ul>{items}</ul>" if items else ""


def _warnings(warnings: Sequence[Finding]) -> str:
    if not warnings:
        return "<p>The checks found nothing to warn of.</p>"
    items = "".join(
        f"<li><b>{html.escape(w.problem)}</b> ({w.count}): {html.escape(w.remedy)}"
        f"<br>{html.escape('; '.join(w.examples))}</li>"
        for w in warnings
    )
    return f"<p><b>Warnings</b></p><ul>{items}</ul>"


def _source(manifest: Manifest) -> str:
    source = manifest.source
    return str(source.get("path") or source.get("url") or f"drawn scenes, domain {source['demo']}")
