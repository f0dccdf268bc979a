"""Every experiment has a report of its own, whose path is known before Snakemake reads a config."""

import pytest

from segbench.plan.report_path import link_report, report_path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("experiment: demo\n")
    (tmp_path / "one.yaml").write_text("experiment: one\n")
    (tmp_path / "two.yaml").write_text("experiment: two\n")
    (tmp_path / "more.yaml").write_text("seeds: [1]\n")
    (tmp_path / "broken.yaml").write_text("experiment: [\n")
    (tmp_path / "outside.yaml").write_text("experiment: ../../etc\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--cores 2", "results/demo/report.html"),
        ("--cores 2 all", "results/demo/report.html"),
        ("--configfile one.yaml --cores 2", "results/one/report.html"),
        ("--configfile=one.yaml", "results/one/report.html"),
        ("--configfiles one.yaml two.yaml --cores 2", "results/two/report.html"),
        ("--configfile one.yaml more.yaml", "results/one/report.html"),
        ("--configfile one.yaml --config experiment=three seeds=[1]", "results/three/report.html"),
        ("-C experiment=three", "results/three/report.html"),
        ("-n", None),
        ("--cores 2 -np", None),
        ("--dry-run", None),
        ("prepare --cores 2", None),
        ("--cores 2 train", None),
        ("--configfile broken.yaml", None),
        ("--configfile gone.yaml", None),
        ("--configfile more.yaml", None),
        ("--configfile outside.yaml", None),
        ("--configfile", None),
    ],
)
def test_the_report_lies_in_the_folder_of_its_experiment(folder, line, expected):
    assert report_path(line.split()) == expected


def test_without_a_config_of_its_own_a_folder_takes_that_of_the_workflow(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    words = ["--directory", str(tmp_path / "elsewhere"), "-s", str(folder / "Snakefile")]
    assert report_path(words) == "results/demo/report.html"


def test_one_page_leads_to_the_last_report(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "README.md").write_text("done")
        link_report(tmp_path / "results" / name)
        assert f'href="{name}/report.html"' in (tmp_path / "results/report.html").read_text()
        assert f"results/{name}/report.html" in capsys.readouterr().err


def test_where_nothing_was_compared_the_page_stays(tmp_path):
    link_report(tmp_path / "results/new")
    assert (tmp_path / "results/new").is_dir()
    assert not (tmp_path / "results/report.html").exists()
