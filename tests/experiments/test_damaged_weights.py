"""Weights that were damaged on the disk are refused, and made again."""

from segbench.__main__ import main

RUN = "results/smallest/runs/cgnet/scratch/seed0"


def test_damaged_weights_are_not_scored_and_are_made_again(finished_copy, monkeypatch):
    """They lie in the work folder, too, under the same number."""
    here = finished_copy.root
    monkeypatch.chdir(here)
    weights, config = here / RUN / "best.pth", ("--configfile", "smallest.yaml")
    content = weights.read_bytes()
    kept = [p for p in here.glob("results/work/*/best.pth") if p.read_bytes() == content]
    assert len(kept) == 1
    for path in (weights, *kept):
        path.unlink()  # another checkout may have it under another name
        path.write_bytes(content[:-1] + b"?")
    (here / RUN / "metrics.json").unlink()
    refused = finished_copy.run("--cores", "2", f"{RUN}/metrics.json", *config)
    assert refused.returncode != 0
    assert "best.pth: is not the file that its training wrote" in refused.stderr
    assert "Traceback" not in refused.stderr
    weights.unlink()
    made = finished_copy.run("--cores", "2", f"{RUN}/best.pth", *config, expect=0)
    assert "best.pth: is not what its training wrote; it is trained again" in made.stderr
    assert weights.read_bytes() == content
    finished_copy.run("--cores", "2", *config, expect=0)
    assert main(["verify", "smallest"]) == 0
