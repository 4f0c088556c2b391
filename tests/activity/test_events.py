import itertools
import json

import numpy as np
import pytest

from keras_seqattn import activity
from keras_seqattn.activity import EventScore

pytestmark = pytest.mark.plain


def timeline(found, classes=("A", "B"), segment=None):
    label = np.array([{"_": "", ".": "B"}.get(x, x) for x in found])
    return activity.ActivityTimeline(
        times=np.arange(len(label)) / 4,
        label=label,
        probabilities=np.ones((len(label), len(classes))) / len(classes),
        segment=np.zeros(len(label), int) if segment is None else segment,
        classes=classes,
        rate=4,
    )


def score(true, found, **settings):
    """Of A, where `.` is B, and `_` is not known."""
    true = [{"_": "", ".": "B"}.get(x, x) for x in true]
    scores = activity.score_events(timeline(found, **settings), true)
    return scores.by_class["A"]


@pytest.mark.parametrize(
    "true, found, expected",
    [
        (".AAA..AA.", ".AAA..AA.", {"correct": 2}),
        # Bounds that are off are no matter of events.
        (".AAAA....", "...AAAA..", {"correct": 1}),
        (".AAA.....", ".....AAA.", {"deleted": 1, "inserted": 1}),
        (".AAA.....", ".........", {"deleted": 1}),
        (".........", ".A..A..A.", {"inserted": 3}),
        (".AAAAAAA.", ".AA.AA.A.", {"fragmented": 1, "fragmenting": 3}),
        (".AA.AA.A.", ".AAAAAAA.", {"merged": 3, "merging": 1}),
        # The second piece of one event is also the match of the next.
        (
            ".AAAAA.AA.",
            ".A..AAAAA.",
            {
                "fragmented_and_merged": 1,
                "merged": 1,
                "fragmenting": 1,
                "fragmenting_and_merging": 1,
            },
        ),
        (
            "AAAA.AAAA",
            "A.AAAAA.A",
            {
                "fragmented_and_merged": 2,
                "fragmenting": 2,
                "fragmenting_and_merging": 1,
            },
        ),
        # An event that ends where another begins is none less.
        ("AA..AA..AA", "..AA..AA..", {"deleted": 3, "inserted": 2}),
        # What is not known ends an event.
        ("AAA__AAA", "AAAAAAAA", {"correct": 2}),
        ("AAAAAAAA", "AAA__AAA", {"correct": 2}),
        ("________", "AAAAAAAA", {}),
    ],
)
def test_by_hand(true, found, expected):
    assert score(true, found) == EventScore(**expected)


def test_seams_end_events():
    segment = np.repeat([3, 4], 4)
    assert score("AAAAAAAA", "AAAAAAAA", segment=segment).correct == 2
    assert score("AAAA.AAA", "AAAAAAAA", segment=segment).correct == 2


def brute_force(true, found, known, segment, label):
    """Event by event, sample by sample."""

    def events(labels):
        place, all_of_them = 0, []
        kinds = [
            (labels[i] == label and known[i], known[i], segment[i])
            for i in range(len(labels))
        ]
        for (is_event, *_), group in itertools.groupby(kinds):
            length = len(list(group))
            if is_event:
                all_of_them.append(set(range(place, place + length)))
            place += length
        return all_of_them

    a, b = events(true), events(found)
    counts = dict.fromkeys(vars(EventScore()), 0)
    names = (
        ("correct", "merged", "fragmented", "fragmented_and_merged", "deleted"),
        (
            *("correct", "fragmenting", "merging"),
            *("fragmenting_and_merging", "inserted"),
        ),
    )
    for own, others, kinds, is_true in (
        (a, b, names[0], True),
        (b, a, names[1], False),
    ):
        for event in own:
            matches = [other for other in others if event & other]
            shared = any(
                sum(bool(match & sibling) for sibling in own) > 1
                for match in matches
            )
            if not matches:
                counts[kinds[4]] += 1
            elif is_true or shared or len(matches) > 1:
                counts[kinds[shared + 2 * (len(matches) > 1)]] += 1
    return EventScore(**counts)


def test_as_a_count_by_brute_force():
    rng = np.random.default_rng(0)
    seen = EventScore()
    for _ in range(150):
        size = 60
        true = np.repeat(rng.choice(list("AAAAABC"), 20), 3)
        found = np.repeat(rng.choice(list("AAAABC"), 30), 2)
        true[rng.integers(0, size)] = found[rng.integers(0, size)] = "_"
        segment = np.repeat(rng.integers(0, 2, 3), 20)
        made = timeline(found, ("A", "B", "C"), segment)
        labels = np.where(true == "_", "", true)
        scores = activity.score_events(made, labels)
        known = [true[i] != "_" and found[i] != "_" for i in range(size)]
        for name in "ABC":
            expected = brute_force(true, found, known, segment, name)
            assert scores.by_class[name] == expected
            truths = brute_force(true, true, known, segment, name)
            assert scores.by_class[name].true == truths.correct
            outputs = brute_force(found, found, known, segment, name)
            assert scores.by_class[name].recognized == outputs.correct
        seen += scores.total
    assert min(vars(seen).values()) > 20  # Each kind was there.


def test_the_table_and_sums():
    made = timeline("..AA.A..")
    scores = activity.score_events(made, list("BBAAAABB"))
    # Of B: the piece in the middle is inserted.
    assert scores.by_class["B"] == EventScore(correct=2, inserted=1)
    both = scores + activity.score_events(timeline("AA", ("A",)), ["A", "A"])
    assert both.by_class["A"].correct == 1
    assert both.total == EventScore(3, 0, 1, 0, 0, 1, 2, 0, 0)
    head, _, *rows = both.table().splitlines()
    assert head.startswith("| class | true | correct | deleted | fragmented |")
    assert rows == [
        "| A | 2 | 1 | 0 | 1 | 0 | 0 | 0 | 2 | 0 | 0 |",
        "| B | 2 | 2 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 |",
        "| all | 4 | 3 | 0 | 1 | 0 | 0 | 1 | 2 | 0 | 0 |",
    ]
    assert json.loads(json.dumps(both.to_dict()))["A"]["fragmenting"] == 2
    with pytest.raises(ValueError, match="one label a sample, 8 of them"):
        activity.score_events(made, ["A"])
