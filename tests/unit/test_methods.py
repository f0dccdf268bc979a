"""The paragraph of methods says what was done, and the bibliography what was used."""

import re
from dataclasses import replace

from test_presentation import MANIFEST, SCORES, run

from segbench.report.methods import bibliography, methods_page
from segbench.report.results import rank
from segbench.zoo.papers import paper_of

PIDNET = "pidnet-s_2xb6-120k_1024x1024-cityscapes"
CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"


def test_the_paragraph_names_data_models_training_and_scores():
    page = methods_page(rank([run("a", 0, [80, 90]), run("b", 0, [60, 70])]), MANIFEST,
                        {"a": PIDNET, "b": CGNET})  # fmt: skip
    assert "The dataset roads has 3 training, 2 validation images and 2 classes" in page
    assert f"`{PIDNET}` and `{CGNET}`" in page
    assert "from random weights, with 8 iterations of 2 crops of 64x96 pixels and 1 seed" in page
    assert "kept, on which models were then compared." in page
    assert "2,000 bootstrap draws over images" in page


def test_crops_that_grew_are_told():
    one = run("a", 0, [80, 90])
    grown = replace(one, record=one.record.model_copy(update={"growing_crop": 0.5}))
    page = methods_page(rank([grown, run("b", 0, [60, 70])]), MANIFEST, {})
    assert (
        "2 crops of 64x96 pixels and 64x96 pixels growing from 0.5 of its sides and 1 seed" in page
    )


def test_it_says_whose_intervals_are_over_images_alone():
    # the best has one run, as a prediction from elsewhere has
    runs = [run("a", 0, [80, 90]), run("b", 0, [60, 70]), run("b", 1, [62, 70])]
    page = methods_page(rank(runs), MANIFEST, {})
    assert (
        "draws over images and seeds, and over images alone where there is one run; pairs" in page
    )


def test_starting_points_are_told_by_model_where_they_differ():
    both = replace(run("a", 0, [80, 90]), initialization="imagenet"), run("a", 0, [70, 80])
    page = methods_page(rank([*both, run("b", 0, [60, 70])]), MANIFEST, {})
    assert (
        "), from ImageNet weights of the backbone (`a`) and from random weights (`a` and `b`), with"
    ) in page
    alike = methods_page(rank([*both]), MANIFEST, {})
    assert "), each from ImageNet weights of the backbone and from random weights, with" in alike


def test_with_a_test_split_it_says_where_models_are_compared():
    split = {"train": MANIFEST.splits["train"], "val": MANIFEST.splits["val"]}
    manifest = MANIFEST.model_copy(update={"splits": split | {"test": split["val"]}})
    scores = SCORES.model_copy(update={"split": "test"})
    runs = [
        replace(run(name, 0, accuracies), scores=scores)
        for name, accuracies in (("a", [80, 90]), ("b", [60, 70]))
    ]
    page = methods_page(rank(runs), manifest, {})
    assert "2 validation and 2 test images" in page
    assert "present in the test images" in page
    assert "on which models were then compared" not in page


def test_papers_come_from_the_zoo():
    paper = paper_of(PIDNET)
    assert paper.title.startswith("PIDNet: A Real-time Semantic Segmentation Network")
    assert paper.url == "https://arxiv.org/pdf/2206.02066.pdf"
    assert paper_of("configs/my_own.py") is None


def test_the_bibliography_is_bibtex_with_everything_escaped():
    text = bibliography({"pidnet_s": PIDNET, "mine": "a/b.py"}, "Doe & Roe, 100 % {roads}_\\input")
    keys = re.findall(r"^@misc\{(\w+),$", text, re.MULTILINE)
    assert keys == ["pidnets", "molder2021snakemake", "mmsegmentation", "paszke2019pytorch",
                    "dataset"]  # fmt: skip
    assert r"Doe \& Roe, 100 \% \{roads\}\_ input" in text
    # what opens is closed, escaped braces aside
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_two_models_of_one_paper_are_one_entry():
    text = bibliography({"a": PIDNET, "b": PIDNET.replace("-s_", "-m_")})
    assert text.count("PIDNet: A Real-time") == 1
