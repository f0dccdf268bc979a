"""`python -m segbench verify` names all that does not follow from what was trained."""

import json

import numpy as np
import pytest

from segbench.__main__ import main

RUN = "results/smallest/runs/cgnet/scratch/seed0"


@pytest.fixture
def here(finished_copy, monkeypatch):
    monkeypatch.chdir(finished_copy.root)
    return finished_copy.root


def verified(capsys) -> tuple[int, str]:
    status = main(["verify", "smallest"])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_results_as_they_were_made_are_confirmed(here, capsys):
    status, said = verified(capsys)
    assert status == 0
    assert "2 runs: scores follow from their confusion matrices" in said
    assert "2 runs: counts are those that were noted" in said
    assert "2 runs: weights are those that were noted" in said
    made = {path.name for path in (here / "results/smallest/tables").glob("[!.]*")}
    assert made <= set(said.replace(",", "").split())


def replaced(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def other_counts(path):
    with np.load(path) as stored:
        names, counts = stored["names"], stored["confusion"].copy()
    counts[0, 0, 0] += 1
    np.savez_compressed(path, names=names, confusion=counts)


def other_score(path):
    content = json.loads(path.read_text())
    content["miou"] += 1e-6
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        (f"{RUN}/best.pth", lambda p: p.write_bytes(p.read_bytes() + b"0"),
         "best.pth: is not the file that train.json was written for"),
        (f"{RUN}/confusion.npz", other_counts,
         "confusion.npz: is not the file that metrics.json was written for"),
        (f"{RUN}/metrics.json", other_score, "metrics.json: `miou` is"),
        ("results/smallest/tables/models.csv", replaced("cgnet", "cgnet2"),
         "models.csv: does not follow from the confusion matrices. Line"),
        ("results/smallest/README.md", replaced("# smallest", "# biggest"),
         "README.md: does not follow from the confusion matrices. Line 1 is"),
        ("results/smallest/tables/pairwise.csv", lambda p: p.unlink(), "pairwise.csv: no such"),
    ],
    ids=["weights", "counts", "a score", "a table", "the first page", "a missing table"],
)  # fmt: skip
def test_what_was_changed_is_named(here, capsys, path, change, said):
    file = here / path
    content = file.read_bytes()
    file.unlink()  # it may be a hard link into a store that others use
    file.write_bytes(content)
    change(file)
    status, message = verified(capsys)
    assert status == 1
    assert said in message


def test_all_that_was_changed_is_named_at_once(here, capsys):
    tables = here / "results/smallest/tables"
    for name in ("models.csv", "pairwise.csv"):
        replaced("cgnet", "cgnet2")(tables / name)
    status, said = verified(capsys)
    assert status == 1
    assert said.count("does not follow from the confusion matrices") == 2
    runs = [*here.glob("results/smallest/runs/*/*/*/metrics.json")]
    for path in runs:
        path.unlink()
    status, said = verified(capsys)
    assert status == 1
    assert len(runs) == 2
    for path in runs:
        assert f"{path.relative_to(here)}: no such file" in said
    assert "models.csv" not in said  # tables follow from what is to be mended first


def test_results_are_verified_without_their_weights(here, capsys):
    (here / RUN / "best.pth").unlink()
    status, said = verified(capsys)
    assert status == 0
    assert "1 runs: weights are those that were noted" in said
    assert "no weights, or no hash of them, in: cgnet/scratch/seed0" in said
    for path in here.glob("results/smallest/runs/*/*/*/best.pth"):
        path.unlink()
    assert verified(capsys)[0] == 0


def test_a_missing_file_is_named_with_what_makes_it_again(here, capsys):
    (here / RUN / "confusion.npz").unlink()
    status, said = verified(capsys)
    assert status == 1
    assert "confusion.npz: no such file" in said
    assert f"`snakemake --cores 2 {RUN}/confusion.npz`" in said


def test_what_differs_is_shown_in_a_long_line(here, capsys):
    path = here / "results/smallest/tables/methods.md"
    lines = path.read_text().splitlines()
    number = max(range(len(lines)), key=lambda i: len(lines[i]))
    assert len(lines[number]) > 400
    lines[number] = f"{lines[number][:-1]}!"
    path.write_text("\n".join(lines) + "\n")
    _, said = verified(capsys)
    noted, computed = (line for line in said.splitlines() if line.startswith("  "))
    assert noted != computed
    assert noted.startswith("  ... ")


def test_an_interrupted_run_lists_its_processes(here):
    record = json.loads((here / RUN / "train.json").read_text())
    (session,) = record["sessions"]
    assert (session["from_iteration"], session["to_iteration"]) == (0, 6)
    assert session["began"] <= session["until"]
    manifest = json.loads((here / "results/datasets/tiny_rural/manifest.json").read_text())
    assert record["dataset_sha256"] == manifest["content_sha256"]
