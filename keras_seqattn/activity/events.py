"""Which activities were found as events, and how the others went wrong.

The score of samples does not tell a stretch that was missed from one whose
bounds are a little off, nor one stretch from ten pieces of it. Events do.

Reference: Ward, Lukowicz & Gellersen, Performance metrics for activity
recognition, ACM Transactions on Intelligent Systems and Technology 2(1),
article 6, 2011, [doi:10.1145/1889681.1889687](
https://doi.org/10.1145/1889681.1889687), the analysis of events.
"""

import dataclasses
from typing import Any

import numpy as np

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.activity.timeline import ActivityTimeline
from keras_seqattn.activity.timeline import runs


@dataclasses.dataclass(frozen=True)
class EventScore:
    """How events of one class went, each counted once.

    An event is a stretch of samples of one class. A true and a recognized one
    match where they share a sample.

    Attributes:
        correct: True events that match one event, which matches no other.
        deleted: True events that match none (D).
        fragmented: True events that match several (F).
        merged: True events whose match has another one, too (M).
        fragmented_and_merged: True events that are both (FM).
        inserted: Recognized events that match none (I').
        fragmenting: Recognized events that share their match with others
            (F').
        merging: Recognized events that match several (M').
        fragmenting_and_merging: Recognized events that do both (FM').
    """

    correct: int = 0
    deleted: int = 0
    fragmented: int = 0
    merged: int = 0
    fragmented_and_merged: int = 0
    inserted: int = 0
    fragmenting: int = 0
    merging: int = 0
    fragmenting_and_merging: int = 0

    @property
    def true(self) -> int:
        """The number of true events: C + D + F + M + FM."""
        return (
            self.correct
            + self.deleted
            + self.fragmented
            + self.merged
            + self.fragmented_and_merged
        )

    @property
    def recognized(self) -> int:
        """The number of recognized events: C + I' + F' + M' + FM'."""
        return (
            self.correct
            + self.inserted
            + self.fragmenting
            + self.merging
            + self.fragmenting_and_merging
        )

    def __add__(self, other: "EventScore") -> "EventScore":
        ours, theirs = dataclasses.astuple(self), dataclasses.astuple(other)
        return EventScore(*(a + b for a, b in zip(ours, theirs, strict=True)))


@dataclasses.dataclass(frozen=True)
class EventScores(Tabulated):
    """The `EventScore` of each class of a time line.

    Attributes:
        by_class: By the name of the class.
    """

    by_class: dict[str, EventScore]

    @property
    def total(self) -> EventScore:
        """The sum over the classes."""
        return sum(self.by_class.values(), EventScore())

    def table(self) -> str:
        """Return the counts in markdown, one row a class, and their sum."""
        names = [field.name for field in dataclasses.fields(EventScore)]
        rows = {**self.by_class, "all": self.total}
        return markdown_table(
            ["class", "true", *(name.replace("_", " ") for name in names)],
            [
                [title, str(score.true), *map(str, dataclasses.astuple(score))]
                for title, score in rows.items()
            ],
        )

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts by class, ready for JSON."""
        return {
            name: dataclasses.asdict(score)
            for name, score in self.by_class.items()
        }

    def __add__(self, other: "EventScores") -> "EventScores":
        """The events of two time lines together."""
        names = [*self.by_class, *other.by_class]
        none = EventScore()
        return EventScores(
            {
                name: self.by_class.get(name, none)
                + other.by_class.get(name, none)
                for name in dict.fromkeys(names)
            }
        )


def score_events(timeline: ActivityTimeline, true_labels: Any) -> EventScores:
    """Score the events of a time line: found, missed, merged, in pieces.

    As in Ward et al., 2011. A seam ends an event, and so does a stretch that
    is not known: one without a true label, or without a recognized one. If
    doing nothing is to count, give it a class of its own.

    Args:
        timeline: From `predict_recording`.
        true_labels: Names in its classes, or indices into them, of shape
            `(samples,)`. `""`, -1, `None` and NaN: not known.

    Returns:
        An `EventScores`, whose `total` and `by_class` are an `EventScore`
        each. Of several recordings, add them.

    Raises:
        ValueError: Labels that are no classes, or another number of them.

    Example:
    ```python
    import numpy as np
    from keras_seqattn import activity

    found = np.array(["walk", "rest", "walk", "rest", "walk", "rest"])
    timeline = activity.ActivityTimeline(
        times=np.arange(6),
        label=found,
        probabilities=np.eye(2)[(found == "walk").astype(int)],
        segment=np.zeros(6, int),
        classes=("rest", "walk"),
        rate=1,
    )
    true = ["walk", "walk", "walk", "rest", "rest", "rest"]
    scores = activity.score_events(timeline, true)
    walk = scores.by_class["walk"]
    print(walk.fragmented, walk.fragmenting, walk.inserted)  # 1 2 1
    ```
    """
    true, found = timeline.codes(true_labels)
    known = (true >= 0) & (found >= 0)
    # What is not known is a seam: a segment of its own.
    seam = np.r_[False, timeline.segment[1:] != timeline.segment[:-1]]
    edge = np.r_[False, known[1:] != known[:-1]]
    segment = np.cumsum(seam | edge)
    return EventScores(
        {
            name: _match(
                _number(known & (true == code), segment),
                _number(known & (found == code), segment),
            )
            for code, name in enumerate(timeline.classes)
        }
    )


def _number(there: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Number the stretches that are true, from 0 on; -1 elsewhere."""
    number = np.full(len(there), -1)
    events = [run for run in runs(there, segment) if there[run[0]]]
    for place, (first, last) in enumerate(events):
        number[first : last + 1] = place
    return number


def _match(true: np.ndarray, found: np.ndarray) -> EventScore:
    """Count the events of one class, given by their numbers."""
    both = (true >= 0) & (found >= 0)
    pairs = np.unique(np.stack([true[both], found[both]]), axis=1)
    # How many each one matches.
    of_true = np.bincount(pairs[0], minlength=true.max() + 1)
    of_found = np.bincount(pairs[1], minlength=found.max() + 1)
    # Whether a match of theirs has another one.
    merged = np.zeros(len(of_true), bool)
    merged[pairs[0][of_found[pairs[1]] > 1]] = True
    in_pieces = np.zeros(len(of_found), bool)
    in_pieces[pairs[1][of_true[pairs[0]] > 1]] = True
    fragmented, merging = of_true > 1, of_found > 1
    return EventScore(
        correct=int(np.sum((of_true == 1) & ~merged)),
        deleted=int(np.sum(of_true == 0)),
        fragmented=int(np.sum(fragmented & ~merged)),
        merged=int(np.sum(merged & ~fragmented)),
        fragmented_and_merged=int(np.sum(fragmented & merged)),
        inserted=int(np.sum(of_found == 0)),
        fragmenting=int(np.sum(in_pieces & ~merging)),
        merging=int(np.sum(merging & ~in_pieces)),
        fragmenting_and_merging=int(np.sum(merging & in_pieces)),
    )
