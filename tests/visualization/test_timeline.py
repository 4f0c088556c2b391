import dataclasses

import numpy as np
import pytest

from keras_seqattn import activity
from keras_seqattn import visualization
from keras_seqattn.visualization import timeline as figure

CLASSES = ("sit", "walk", "run")
TRUE = ["sit"] * 20 + ["walk"] * 20 + ["run"] * 10 + [""] * 10


def made(classes=CLASSES, label=None):
    """60 samples at 10 Hz: a gap of 5 s before 40, a seam at 50."""
    label = ["sit"] * 25 + ["walk"] * 15 + ["walk"] * 10 + [""] * 10
    return activity.ActivityTimeline(
        times=np.arange(60) / 10 + 5 * (np.arange(60) >= 40),
        label=np.array(label),
        probabilities=np.full((60, len(classes)), 1 / len(classes)),
        segment=np.repeat([0, 1, 0], [40, 10, 10]),
        classes=classes,
        rate=10,
    )


def bars(ax):
    """Row, start and length of each stretch, with its colour."""
    found = []
    for collection in ax.collections:
        color = figure.COLORS.index(_hex(collection.get_facecolor()[0]))
        for path in collection.get_paths():
            box = path.get_extents()
            found.append(
                (
                    round((box.y0 + box.y1) / 2),
                    round(box.x0, 6),
                    round(box.width, 6),
                    color,
                )
            )
    return sorted(found)


def _hex(color):
    from matplotlib import colors

    return colors.to_hex(color).upper()


def test_truth_above_prediction_below():
    ax = visualization.plot_timeline(made(), TRUE)
    assert bars(ax) == [
        (0, 0.0, 2.5, 0),
        (0, 2.5, 1.5, 1),
        (0, 9.0, 1.0, 1),  # The gap breaks it.
        (1, 0.0, 2.0, 0),
        (1, 2.0, 2.0, 1),
        (1, 9.0, 1.0, 2),
    ]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "recognized",
        "true",
    ]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["sit", "walk", "run"]
    inside = [text.get_text() for text in ax.texts]
    assert inside == ["sit", "walk", "walk", "sit", "walk", "run"]
    # No time is missing at the second seam: it is drawn.
    assert {line.get_xdata()[0] for line in ax.lines} == {10.0}
    assert ax.get_xlim() == (0, 11)


def test_a_clock_since_1970_starts_at_nought():
    timeline = made()
    late = dataclasses.replace(timeline, times=timeline.times + 1.7e9)
    ax = visualization.plot_timeline(late, TRUE)
    assert bars(ax) == bars(visualization.plot_timeline(timeline, TRUE))
    assert ax.get_xlabel() == "time after 1700000000.000 (s)"
    assert {line.get_xdata()[0] for line in ax.lines} == {10.0}


def test_without_truth():
    ax = visualization.plot_timeline(made())
    assert [row for row, *_ in bars(ax)] == [0, 0, 0]
    again = visualization.plot_timeline(made(), ax=ax)
    assert again is ax
    with pytest.raises(ValueError, match="one label a sample, 60 of them"):
        visualization.plot_timeline(made(), ["sit"])


def test_many_classes_have_looks_of_their_own():
    looks = [figure._look(code) for code in range(24)]
    assert len({(x["facecolor"], x["hatch"]) for x in looks}) == 24


@pytest.mark.parametrize("kind", ["normal", "protan", "deutan"])
def test_colours_are_told_apart_by_colour_blind_eyes(kind):
    """In the eyes that Viénot, Brettel & Mollon, 1999, simulate."""
    from matplotlib import colors

    rgb = np.array([colors.to_rgb(color) for color in figure.COLORS]) ** 2.2
    seen = {
        "normal": np.eye(3),
        "protan": np.array(
            [[0.11, 0.89, 0], [0.11, 0.89, 0], [0.004, -0.004, 1]]
        ),
        "deutan": np.array(
            [[0.29, 0.71, 0], [0.29, 0.71, 0], [-0.02, 0.02, 1]]
        ),
    }[kind]
    found = np.clip(rgb @ seen.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert apart[np.triu_indices(len(found), 1)].min() > 0.14
