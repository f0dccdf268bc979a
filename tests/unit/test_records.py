"""Files by which one job tells another what it found: whole, of this version, or refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from segbench.datasets.findings import DatasetCheck, finding
from segbench.datasets.manifest import Manifest
from segbench.engine.preflight import ModelCheck
from segbench.errors import DataError
from segbench.system.provenance import PreparedContent, run_digest
from segbench.system.records import Record
from segbench.system.run_records import CostRecord, MetricsRecord, TrainRecord

SPLIT = {
    "images": 2, "groups": 1, "class_pixels": [30, 0], "class_images": [2, 0],
    "pixels_where_seen": [30, 0], "ignored_pixels": 2, "brightness": 0.5,
}  # fmt: skip
RECORDS: dict[str, Record] = {
    "train.json": TrainRecord(
        run="m/finetuned/seed0", seed=0, initialization="finetuned", dataset="roads",
        classes=("road",), source_classes=("road", "sky"), iterations=8, planned_iterations=10,
        best_iteration=4, best_val_miou=0.5, crop_size=(64, 96), batch_size=2,
        learning_rate=0.01, optimizer="SGD", precision="float32", ema=None,
        adaptations=("crop size 64x96",), device="CPU",
        train_minutes=2.0, peak_memory_mb=1.0, parameters=10, versions={"torch": "2"},
        digest="0" * 16, weights="all random",
    ),
    "metrics.json": MetricsRecord(
        miou=0.5, aacc=0.75, macc=0.5, miou_mapped=None, unreachable=("sky",),
        iou={"road": 0.5, "sky": None}, classes_present=1, images=3, protocol="single scale",
        parameters=10, checkpoint_bytes=400,
    ),
    "cost.json": CostRecord(
        parameters=10, flops=None, size=(64, 96), latency_ms=5.0, latency_p95_ms=6.0, passes=50,
        memory_mb=1.5, batch_size=4, images_per_second=300.0, batch_memory_mb=4.0, device="CPU",
    ),
    "manifest.json": Manifest.model_validate(
        {
            "name": "roads", "content_sha256": "ab", "image_sizes": [[64, 96, 4]],
            "classes": [{"name": n, "color": [1, 2, 3]} for n in ("Straße", "sky")],
            "splits": {"train": SPLIT, "val": SPLIT}, "cooccurrence": [[2, 0], [0, 0]],
            "folds": [{"train": 3, "val": 1, "val_class_pixels": [9, 0]}],
            "findings": [finding("orphan-label", ["a.png"])],
        }
    ),
    "check.json": DatasetCheck(
        warnings=(
            finding("few-scored-images", count=2, few=20, split="validation"),
            replace(finding("unknown-value", ["a.png: 7"]), unknown="7 (pixels: 3, files: 1)"),
        )
    ),
    "model.json": ModelCheck(
        run="m/scratch/seed0", parameters=10, memory_bytes=None, memory="nothing is trained",
        weights="all random", adaptations=(),
    ),
}  # fmt: skip
every_kind = pytest.mark.parametrize(("name", "record"), RECORDS.items(), ids=RECORDS)


def changed(path: Path, **entries: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@every_kind
def test_what_is_read_is_what_was_written(tmp_path, name, record):
    record.write(tmp_path / name)
    assert type(record).read(tmp_path / name) == record
    assert [path.name for path in tmp_path.iterdir()] == [name]


@every_kind
@pytest.mark.parametrize("form", [0, 9, None, "1"])
def test_another_version_is_refused_with_the_remedy(tmp_path, name, record, form):
    path = tmp_path / name
    record.write(path)
    changed(path, form=form)
    with pytest.raises(DataError, match=rf"{name}: was written by another version .*Remove it"):
        type(record).read(path)


@every_kind
def test_a_file_from_before_there_were_forms_is_refused(tmp_path, name, record):
    content = record.model_dump(mode="json")
    del content["form"]
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"{name}: was written by another version .*form unknown"):
        type(record).read(tmp_path / name)


@every_kind
def test_a_missing_entry_is_named(tmp_path, name, record):
    path, content = tmp_path / name, record.model_dump(mode="json")
    key = next(key for key, field in type(record).model_fields.items() if field.is_required())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"{name}: is not as segbench writes it \(`{key}`: "):
        type(record).read(path)


@every_kind
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"text", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "text", "a list", "null", "binary", "nested too deep"],
)
def test_what_is_damaged_or_foreign_is_refused(tmp_path, name, record, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: is damaged, or not a file of segbench"):
        type(record).read(tmp_path / name)


@every_kind
def test_an_entry_of_the_wrong_kind_or_unknown_is_named(tmp_path, name, record):
    path = tmp_path / name
    for entry, value in ((next(iter(type(record).model_fields)), ["x", {}]), ("further", 1)):
        record.write(path)
        changed(path, **{entry: value})
        with pytest.raises(DataError, match=rf"{name}: "):
            type(record).read(path)


@every_kind
def test_a_file_that_is_not_there_is_named(tmp_path, name, record):
    with pytest.raises(DataError, match=rf"{name}: no such file. Run the workflow again"):
        type(record).read(tmp_path / name)


def test_a_record_of_another_kind_is_refused(tmp_path):
    RECORDS["train.json"].write(tmp_path / "cost.json")
    with pytest.raises(DataError, match=r"cost\.json: is not as segbench writes it"):
        CostRecord.read(tmp_path / "cost.json")


def test_the_digest_of_a_run_knows_the_content_of_the_data_and_nothing_else(tmp_path):
    assert PreparedContent.FORM == Manifest.FORM
    (tmp_path / "config.py").write_text("model = 1\n")
    digests = []
    for name, content in (("roads", "ab"), ("moved", "ab"), ("roads", "cd")):
        manifest = RECORDS["manifest.json"].model_copy(
            update={"name": name, "content_sha256": content}
        )
        manifest.write(tmp_path / "manifest.json")
        digests.append(run_digest(tmp_path / "config.py", tmp_path / "manifest.json", "code", None))
    assert digests[0] == digests[1] != digests[2]
