"""Scores against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.scores import metrics
from segbench.scores.bootstrap import Interval
from segbench.scores.bootstrap import bootstrap_mean_iou as bootstrap


def test_a_confusion_matrix_counts_every_pixel_once():
    truth = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    counts = metrics.confusion_matrix(truth, prediction, classes=3)
    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert counts.dtype == np.int64


def test_the_last_of_26_classes_does_not_overflow():
    truth = np.full((4, 4), 25, np.uint8)
    counts = metrics.confusion_matrix(truth, truth, classes=26)
    assert counts[25, 25] == 16
    assert counts.sum() == 16


def test_a_label_outside_the_classes_is_refused():
    truth = np.array([[0, 7]], np.uint8)
    with pytest.raises(ValueError, match="neither one of the 3 classes nor 255"):
        metrics.confusion_matrix(truth, np.zeros_like(truth), classes=3)


def test_a_prediction_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="neither"):
        metrics.confusion_matrix(np.zeros((1, 2), np.uint8), np.full((1, 2), 9, np.uint8), 3)


@given(st.integers(0, 2**32 - 1))
def test_a_confusion_matrix_agrees_with_counting_in_a_loop(seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 3, 255], (5, 7)).astype(np.uint8)
    prediction = rng.integers(0, 4, (5, 7)).astype(np.uint8)
    expected = np.zeros((4, 4), int)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != 255:
            expected[t, p] += 1
    assert (metrics.confusion_matrix(truth, prediction, 4) == expected).all()


# truth has 5, 4 and 0 pixels of the classes; the third is predicted twice all the same
HAND = np.array([[3, 1, 1], [0, 3, 1], [0, 0, 0]], np.int64)


def test_iou_equals_what_is_worked_out_by_hand():
    # class 0: 3 / (5 + 3 - 3), class 1: 3 / (4 + 4 - 3), class 2: absent from the truth
    assert metrics.class_iou(HAND)[:2] == pytest.approx([3 / 5, 3 / 5])
    assert np.isnan(metrics.class_iou(HAND)[2])
    assert metrics.mean_iou(HAND) == pytest.approx(0.6)


def test_accuracies_equal_those_worked_out_by_hand():
    assert metrics.class_accuracy(HAND)[:2] == pytest.approx([3 / 5, 3 / 4])
    assert metrics.pixel_accuracy(HAND) == pytest.approx(6 / 9)
    assert metrics.class_precision(HAND) == pytest.approx([1.0, 3 / 4, 0.0])


def test_an_absent_class_is_left_out_for_every_model_alike():
    one_mistakes_it = np.array([[8, 0, 2], [0, 10, 0], [0, 0, 0]], np.int64)
    other_does_not = np.array([[8, 2, 0], [0, 10, 0], [0, 0, 0]], np.int64)
    for counts in (one_mistakes_it, other_does_not):
        assert np.isnan(metrics.class_iou(counts)[2])
        assert metrics.summary(counts)["classes_present"] == 2
    # the mistake still costs the class that was mistaken: 8 / 10 and 10 / 10
    assert metrics.mean_iou(one_mistakes_it) == pytest.approx((0.8 + 1.0) / 2)


def test_a_prediction_beyond_the_classes_counts_as_wrong():
    counts = np.array([[6, 0, 4], [0, 10, 0]], np.int64)
    assert metrics.class_iou(counts) == pytest.approx([0.6, 1.0])
    assert metrics.pixel_accuracy(counts) == pytest.approx(16 / 20)


def test_scores_of_many_matrices_at_once_are_those_of_each():
    rng = np.random.default_rng(0)
    many = rng.integers(0, 50, (6, 4, 4))
    assert metrics.mean_iou(many) == pytest.approx([float(metrics.mean_iou(one)) for one in many])


def test_nothing_labelled_has_no_score():
    assert np.isnan(metrics.mean_iou(np.zeros((3, 3), np.int64)))


def images_with_accuracies(accuracies):
    """One matrix per image of 100 pixels of a single class, so that mean IoU is accuracy."""
    return np.array([[[a, 100 - a], [0, 0]] for a in accuracies], np.int64)


def over_all(*arguments, **settings):
    return bootstrap(*arguments, **settings).over_all


def test_bootstrap_of_equal_images_is_a_point():
    draws = over_all([(0, images_with_accuracies([70] * 10))], resamples=50)
    assert draws == pytest.approx(np.full(50, 0.7))


def test_bootstrap_interval_is_that_of_the_mean_of_images():
    accuracies = np.random.default_rng(1).integers(20, 100, 40)
    interval = Interval.of(over_all([(0, images_with_accuracies(accuracies))], 4000))
    error = accuracies.std() / 100 / np.sqrt(len(accuracies))
    mean = accuracies.mean() / 100
    # for a plain mean the interval is known: about 1.96 standard errors to either side
    assert interval.low == pytest.approx(mean - 1.96 * error, abs=0.01)
    assert interval.high == pytest.approx(mean + 1.96 * error, abs=0.01)


def test_bootstrap_is_paired_and_reproducible():
    better = (0, images_with_accuracies([50, 90, 10, 70]))
    worse = (0, images_with_accuracies([45, 85, 5, 65]))
    gap = over_all([better], 300) - over_all([worse], 300)
    assert gap == pytest.approx(np.full(300, 0.05))
    assert (over_all([better], 30) == over_all([better], 30)).all()


def test_bootstrap_is_centred_on_the_mean_over_seeds():
    runs = [(0, images_with_accuracies([40] * 5)), (0, images_with_accuracies([60] * 5))]
    draws = over_all(runs, 20_001)
    assert np.median(draws) == pytest.approx(0.5, abs=0.01)


def test_bootstrap_of_folds_draws_in_each_fold_on_its_own():
    # two folds of other sizes, whose images differ between the folds but not within them
    folds = [(0, images_with_accuracies([40] * 5)), (1, images_with_accuracies([60] * 9))]
    assert over_all(folds, 20) == pytest.approx(np.full(20, 0.5))
    # equal folds are drawn differently, so their chance does not add up
    images = images_with_accuracies(np.random.default_rng(2).integers(20, 100, 30))
    alone = np.std(over_all([(0, images)], 4000))
    together = np.std(over_all([(0, images), (1, images)], 4000))
    assert together == pytest.approx(alone / np.sqrt(2), rel=0.1)


def test_a_prediction_beyond_the_classes_is_wrong():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    predicted = np.array([[0, 2, 2, 2]], np.uint8)
    counts = metrics.confusion_matrix(truth, predicted, 2, more_predictions=1)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 1]]
    with pytest.raises(ValueError, match="neither one of the 2 classes"):
        metrics.confusion_matrix(truth, predicted, 2)


def test_dice_and_weighted_iou_equal_those_worked_out_by_hand():
    # truth: 6 of a, 4 of b, none of c; found 5 of a, 1 of b
    counts = np.array([[5, 1, 0], [2, 1, 1], [0, 0, 0]])
    assert metrics.class_dice(counts)[:2] == pytest.approx([10 / (6 + 7), 2 / (4 + 2)])
    assert np.isnan(metrics.class_dice(counts)[2])
    # IoU 5/8 and 1/5, weighted by 6 and 4 of 10 pixels
    assert metrics.frequency_weighted_iou(counts) == pytest.approx(0.6 * 5 / 8 + 0.4 * 1 / 5)
    assert np.isnan(metrics.frequency_weighted_iou(np.zeros((2, 2), int)))


def test_images_are_scored_by_the_classes_that_they_show():
    both = [[4, 0], [2, 2]]  # IoU 4/6 and 2/4
    one = [[1, 3], [0, 0]]  # only the first class: 1/4, whatever is predicted as the other
    void = [[0, 0], [0, 0]]
    scores = metrics.image_wise_iou(np.array([both, one, void]))
    assert scores == pytest.approx([(4 / 6 + 2 / 4) / 2, 1 / 4])


def test_the_worst_tenth_is_rounded_up_to_whole_images():
    scores = np.array([0.9, 0.1, 0.5, 0.3] + [0.8] * 8)
    # two of twelve
    assert metrics.mean_of_worst(scores) == pytest.approx((0.1 + 0.3) / 2)
    assert metrics.mean_of_worst(scores[:3]) == pytest.approx(0.1)
    assert np.isnan(metrics.mean_of_worst(scores[:0]))
