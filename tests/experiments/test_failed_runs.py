"""A run that fails leaves the others running, and is the last thing on the screen."""


def test_a_failed_run_is_said_last_and_the_others_can_be_compared(finished_copy):
    arguments = ("--cores", "2", "--configfile", "smallest.yaml")
    finished_copy.edit(
        "smallest.yaml",
        "models:\n",
        "models:\n  bad:\n    config: cgnet_fcn_4xb8-60k_cityscapes-512x1024\n"
        "    training: {learning_rate: 1.0e+30}\n",
    )
    done = finished_copy.run(*arguments)
    assert done.returncode != 0
    closing = (done.stdout + done.stderr)[-1500:]
    log = "results/logs/train_run/smallest/bad_scratch_0.log"
    assert "1 failed:\nFAILED train_run: bad/scratch/seed0: the loss is" in closing
    assert f"       log: {log}\n" in closing
    page = finished_copy.root / "results/smallest/failed.md"
    assert "**train_run**: bad/scratch/seed0: the loss is" in page.read_text()

    part = finished_copy.run(*arguments, "--config", "allow_missing=true", expect=0)
    assert "Incomplete: 1 of 3 runs are left out" in part.stderr
    assert page.exists()  # it still failed
    for name in ("README.md", "tables/summary.rst"):
        shown = (finished_copy.root / "results/smallest" / name).read_text()
        assert "**Incomplete**: without the unfinished runs bad/scratch/seed0." in shown
    assert (
        "Incomplete: without bad/scratch/seed0."
        in (finished_copy.root / "results/smallest/tables/models.md").read_text()
    )

    finished_copy.edit("smallest.yaml", "learning_rate: 1.0e+30", "learning_rate: 1.0e-4")
    finished_copy.run(*arguments, expect=0)
    assert not page.exists()
    assert "Incomplete" not in (finished_copy.root / "results/smallest/README.md").read_text()


def test_nothing_finished_is_said(checkout):
    done = checkout.run("-n", "--config", "allow_missing=true")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "config: `allow_missing`: no run of 'demo' is finished" in said
    assert "Traceback" not in said
