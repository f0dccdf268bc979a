"""What failed is the last thing on the screen, each with its cause and its log."""

import logging

import pytest

from segbench.system.failures import NO_WORD, Failure, Listener, lines_of, write_page


def record(level, message, **extra):
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "cgnet_scratch_0.log"
    path.write_text(
        "2026-01-02 03:04:05,678 INFO device: CPU\n"
        "2026-01-02 03:04:06,678 ERROR first\n"
        "2026-01-02 03:04:07,678 ERROR m/scratch/seed0: the loss is nan at iteration 7. Lower it.\n"
    )
    return path


def failed(log, *outputs):
    return record(logging.ERROR, "Error in rule train_run", rule_name="train_run",
                  log=[str(log), "slurm.log"], output=list(outputs))  # fmt: skip


def test_the_cause_is_the_last_error_of_the_log(log, tmp_path):
    listener = Listener()
    assert listener.filter(failed(log, str(tmp_path / "best.pth")))
    assert listener.closing_lines() == [
        "1 failed:",
        "FAILED train_run: m/scratch/seed0: the loss is nan at iteration 7. Lower it.\n"
        f"       log: {log}",
    ]


def test_a_job_that_was_killed_says_so(tmp_path):
    (tmp_path / "x.log").write_text("2026-01-02 03:04:05,678 INFO device: CPU\n")
    assert Failure("train_run", tmp_path / "x.log").cause == NO_WORD
    assert Failure("train_run", tmp_path / "gone.log").cause == NO_WORD


def test_what_a_second_attempt_made_is_not_listed(log, tmp_path):
    listener, made = Listener(), tmp_path / "best.pth"
    listener.filter(failed(log, str(made)))
    listener.filter(failed(log, str(made)))
    assert len(listener.remaining()) == 1
    made.touch()
    assert listener.closing_lines() == []


def test_after_an_interrupt_errors_are_not_shown(log):
    listener = Listener()
    assert listener.filter(record(logging.ERROR, "x"))
    assert listener.filter(record(logging.INFO, "Terminating processes on user request, this"))
    assert not listener.filter(failed(log, "gone"))
    assert listener.filter(record(logging.INFO, "said as before"))
    (line,) = listener.closing_lines()
    assert line.startswith("Interrupted. Run the same command again")
    assert listener.remaining() == []  # it did not fail, it was ended


def test_what_failed_before_an_interrupt_stays_listed(log):
    listener = Listener()
    listener.filter(failed(log, "gone"))
    listener.filter(record(logging.INFO, "Terminating processes on user request, this"))
    assert len(listener.remaining()) == 1


def test_the_page_of_failures_goes_when_nothing_failed(log, tmp_path):
    page = tmp_path / "failed.md"
    write_page(page, [Failure("train_run", log)])
    assert "**train_run**: m/scratch/seed0: the loss is nan" in page.read_text()
    write_page(page, [])
    assert not page.exists()
    write_page(tmp_path / "nowhere/failed.md", [Failure("train_run", log)])
    assert lines_of([]) == []


@pytest.mark.parametrize(
    ("said", "is_interrupted"),
    [
        ("Command 'python x.py' died with <Signals.SIGINT: 2>.", True),
        ("Command 'python x.py' returned non-zero exit status 130.", True),
        ("Command 'python x.py' returned non-zero exit status 1.", False),
        ("Command 'python x.py' died with <Signals.SIGKILL: 9>.", False),
    ],
)
def test_a_job_that_ctrl_c_ended_before_snakemake_heeds_it_is_no_failure(said, is_interrupted):
    listener = Listener()
    assert listener.filter(record(logging.ERROR, said)) is not is_interrupted
    assert listener.interrupted is is_interrupted
