"""One rule for labels and ids, by value."""

import numpy as np
import pytest

from keras_seqattn.windows.labels import class_codes
from keras_seqattn.windows.labels import class_names
from keras_seqattn.windows.labels import ids
from keras_seqattn.windows.labels import ids_of_text

NAMES = ("REST", "WALK")


@pytest.mark.parametrize(
    "labels, classes, codes, names",
    [
        ([0, 1, 1], NAMES, [0, 1, 1], NAMES),
        (np.uint8([1, 0]), NAMES, [1, 0], NAMES),
        ([1.0, 0.0], NAMES, [1, 0], NAMES),
        ([True, False], NAMES, [1, 0], NAMES),
        (["WALK", "REST ", " WALK"], NAMES, [1, 0, 1], NAMES),
        ([b"WALK", b"REST"], NAMES, [1, 0], NAMES),
        (np.array(["WALK", "REST"]), list(NAMES), [1, 0], NAMES),
        (["WALK", 0], NAMES, [1, 0], NAMES),
        # Numbers that are names.
        ([2, 1, 2.0], ("1", "2"), [1, 0, 1], ("1", "2")),
        (["2", "1.0"], (1, 2.0), [1, 0], ("1", "2")),
        # Classes are what there is.
        (["WALK", "WALK ", "REST"], None, [1, 1, 0], NAMES),
        ([1, 1.0, "1", "1.0", 2], None, [0, 0, 0, 0, 1], ("1", "2")),
        ([10, 9, 2], None, [2, 1, 0], ("2", "9", "10")),
        (["b", 10, 9], None, [2, 1, 0], ("9", "10", "b")),
        (np.array(["a", 1], dtype=object), None, [1, 0], ("1", "a")),
        (["v1.0b", "2.50"], None, [1, 0], ("2.50", "v1.0b")),
        ([], None, [], ()),
    ],
)
def test_codes(labels, classes, codes, names):
    found, classes = class_codes(labels, classes)
    assert found.dtype == np.int64
    assert found.tolist() == codes
    assert classes == names


@pytest.mark.parametrize(
    "labels",
    [
        [0, -1, 1],
        [0.0, np.nan, 1.0],
        ["REST", "", "WALK"],
        ["REST", " ", "WALK"],
        ["REST", None, "WALK"],
        ["REST", "nan", "WALK"],
        ["REST", "-1.0", "WALK"],
        np.ma.array([0, 0, 1], mask=[False, True, False]),
    ],
)
def test_unlabelled(labels):
    with pytest.raises(
        ValueError, match=r"`unlabelled='drop'`.*1 of 3 unlabelled.*first at 1"
    ):
        class_codes(labels, NAMES)
    codes, classes = class_codes(labels, NAMES, unlabelled="drop")
    assert codes.tolist() == [0, -1, 1]
    assert class_codes(labels, unlabelled="drop")[0].tolist() == [0, -1, 1]
    assert classes == NAMES


def test_pandas_has_its_own_nothing():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["REST", None, "WALK"], dtype="string")
    assert class_codes(series, NAMES, "drop")[0].tolist() == [0, -1, 1]
    series = pandas.Series([2**53 + 1, 2**53], dtype="Int64")
    assert ids(series).tolist() == [2**53 + 1, 2**53]


@pytest.mark.parametrize(
    "labels, classes, message",
    [
        ([1, 2], NAMES, r"in 0 \.\. 1, .* 2 for .*count from 1, subtract 1"),
        ([7], NAMES, "Received: 7 for"),
        ([-2], NAMES, "Received: -2 for"),
        (["RUN"], NAMES, r"names in `classes`\. Received: 'RUN'"),
        # Neither codes nor names: which is meant?
        ([0, 1], ("1", "2"), "names in `classes`. Received: '0'"),
        ([0.5], NAMES, "must be whole.*0.5"),
        ([np.inf], None, "must be whole.*inf"),
        ([1e300], None, "must be whole.*1e\\+300"),
        ([1j], None, "1j of type complex"),
        (np.eye(2), NAMES, r"rank 1.*argmax.*shape=\(2, 2\)"),
        ([[0, 1], [1, 0]], NAMES, r"rank 1.*argmax"),
        ([0], ("REST", "REST "), "none twice"),
        ([0], ("REST", ""), "none empty"),
    ],
)
def test_what_is_refused(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        class_codes(labels, classes)


def test_one_hot_is_read_where_the_caller_says_so():
    hot = np.array([[0, 1], [1, 0], [0, 0]])
    codes, _ = class_codes(hot, NAMES, "drop", one_hot=True)
    assert codes.tolist() == [1, 0, -1]
    with pytest.raises(ValueError, match="unlabelled"):
        class_codes(hot, NAMES, one_hot=True)
    for wrong in ([[1, 1]], [[0.3, 0.7]], [1, 0], [["a", "b"]]):
        with pytest.raises(ValueError, match="one 1 a row"):
            class_codes(wrong, NAMES, one_hot=True)


def test_class_names_are_stripped_text():
    assert class_names(np.array([" a", "b "])) == ("a", "b")
    assert class_names([1, 2.0]) == ("1", "2")


@pytest.mark.parametrize(
    "values, expected",
    [
        ([3, 1, 3], [3, 1, 3]),
        ([2**53, 2**53 + 1], [2**53, 2**53 + 1]),
        ([2**53 + 1, 1.0], [2**53 + 1, 1]),
        (np.array([2**64 - 1, 1], "uint64"), [2**64 - 1, 1]),
        ([-1, 2**64 - 1], ["-1", str(2**64 - 1)]),
        ([1.0, 2.0], [1, 2]),
        (["anna", " ben "], ["anna", "ben"]),
        ([b"anna"], ["anna"]),
        (["007", "7", "7.0"], ["007", "7", "7.0"]),
        (["anna", 2], ["anna", "2"]),
    ],
)
def test_ids(values, expected):
    assert ids(values).tolist() == expected


@pytest.mark.parametrize(
    "values", [[1.5], [2.0**53 + 2], [np.nan], [None], [""], [" "], [True]]
)
def test_ids_that_may_be_another(values):
    with pytest.raises(ValueError, match="`unit` must hold"):
        ids(values, "unit")
    with pytest.raises(ValueError, match="rank 1"):
        ids([values], "unit")


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["1", "2.0", " 10"], [1, 2, 10]),
        ([str(2**53), str(2**53 + 1)], [2**53, 2**53 + 1]),
        (["01", "1"], ["01", "1"]),
        (["1", "anna"], ["1", "anna"]),
    ],
)
def test_ids_of_text(texts, expected):
    assert ids_of_text(texts).tolist() == expected


def test_ids_of_text_are_not_broken_numbers():
    with pytest.raises(ValueError, match=r"integers or text.*'2\.5'"):
        ids_of_text(["1", "2.5"])
