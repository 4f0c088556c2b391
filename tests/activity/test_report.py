import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics

from keras_seqattn.activity import ActivityReport
from keras_seqattn.activity import FoldResult
from keras_seqattn.activity import Score

pytestmark = pytest.mark.plain

RNG = np.random.default_rng(2)
CLASSES = ("lie", "sit", "walk", "fly")
Y = RNG.integers(0, 3, 60)  # Nobody flies.
SUBJECT = RNG.permutation(np.repeat(["anna", "ben", "eva", "tom"], 15))
FOLDS = (("ben", "tom"), ("anna", "eva"))
# By seed, in the order of the windows.
SAID = RNG.dirichlet(np.ones(4), size=(2, 60)).astype("float32")


def result(own, said):
    score = Score.of(Y[own], said[own].argmax(axis=1), 4)
    return FoldResult(
        final=score,
        best=score,
        best_epoch=1,
        probabilities=said[own],
        history={"loss": [1.0]},
    )


def made(folds=FOLDS, subject=SUBJECT):
    own = [np.flatnonzero(np.isin(subject, who)) for who in folds]
    most = np.full(60, np.bincount(Y).argmax())
    return ActivityReport(
        settings={"seeds": [0, 1]},
        classes=CLASSES,
        y=Y,
        subject=subject,
        folds=folds,
        results={
            "larnn": tuple(
                tuple(result(one, said) for one in own) for said in SAID
            )
        },
        baselines={
            "chance": tuple(Score.of(Y[one], most[one], 4) for one in own)
        },
        parameters={"larnn": 10},
        chosen_by_validation=False,
    )


REPORT = made()
PREDICTED = SAID.argmax(axis=2)


def test_predictions_are_in_the_order_of_the_windows():
    for seed, predicted in enumerate(PREDICTED):
        found = REPORT.predictions("larnn", seed=seed)
        np.testing.assert_array_equal(found, predicted)
        found = REPORT.predictions(seed=seed, method="predict_proba")
        np.testing.assert_array_equal(found, SAID[seed])
    np.testing.assert_array_equal(REPORT.predictions(), PREDICTED[0])
    two = {"larnn": REPORT.results["larnn"], "lstm": REPORT.results["larnn"]}
    several = dataclasses.replace(REPORT, results=two)
    for arguments, message in (
        ({"method": "transform"}, "`method` must be one of"),
        ({"seed": 2}, r"`seed` must be one of \(0, 1\)"),
        ({"cell": "gru"}, r"`cell` must be one of \('larnn', 'lstm'\)"),
        ({}, r"must be one of \('larnn', 'lstm'\). Received: cell=None"),
    ):
        with pytest.raises(ValueError, match=message):
            several.predictions(**arguments)


def test_recall_by_class():
    found = REPORT.per_class("larnn")
    assert list(found) == list(CLASSES)
    for seed, predicted in enumerate(PREDICTED):
        expected = metrics.recall_score(
            Y, predicted, labels=[0, 1, 2], average=None, zero_division=0
        )
        recall = [found[name][seed] for name in CLASSES]
        np.testing.assert_allclose(recall[:3], expected)
        assert np.isnan(recall[3])
    most = np.bincount(Y).argmax()
    expected = [(float(code == most),) for code in range(3)]
    assert [*REPORT.per_class("chance").values()][:3] == expected
    rows = REPORT.class_table().splitlines()
    assert rows[0] == "| recall of | windows | chance | larnn |"
    mean, deviation = np.mean(found["sit"]), np.std(found["sit"], ddof=1)
    assert rows[3] == (
        f"| sit | {np.sum(Y == 1)} | {float(most == 1):.3f} | {mean:.3f} ± "
        f"{deviation:.3f} |"
    )


def test_scores_by_subject():
    found = REPORT.per_subject("larnn")
    assert list(found) == ["anna", "ben", "eva", "tom"]
    for name, scores in found.items():
        own = SUBJECT == name
        for score, predicted in zip(scores, PREDICTED, strict=True):
            assert score.accuracy == pytest.approx(
                metrics.accuracy_score(Y[own], predicted[own])
            )
            assert score.confusion.sum() == 15
    accuracy = [score.accuracy for score in found["eva"]]
    assert REPORT.subject_table().splitlines()[4] == (
        f"| eva | 15 | {np.mean(accuracy):.3f} ± "
        f"{np.std(accuracy, ddof=1):.3f} |"
    )
    # Integers stay integers.
    number = np.unique(SUBJECT, return_inverse=True)[1]
    numbered = made(((1, 3), (0, 2)), number)
    assert list(numbered.per_subject("larnn")) == [0, 1, 2, 3]
    said = json.loads(json.dumps(REPORT.to_dict(), allow_nan=False))
    subjects = said["results"]["larnn"][1]["subjects"]
    assert [one["subject"] for one in subjects] == list(found)
    assert subjects[2]["accuracy"] == accuracy[1]
