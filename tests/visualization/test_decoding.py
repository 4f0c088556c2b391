import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import visualization
from keras_seqattn.decoding.timestep_selection import recommend_timesteps

SELECTION = ks.decoding.select_timesteps(
    np.array([[0.05, 0.15, 0.3, 0.5]]), 0.75
)
RECOMMENDATION = recommend_timesteps(
    {4: (0.8, 0.9), 3: (0.85, 0.83), 2: (0.5, 0.4), 1: (0, 0)}.get, 4, 4, 0.02
)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    (found,) = [item for item in ax.lines if item.get_label() == label]
    return found


def test_attention_profile():
    ax = visualization.plot_attention_profile(SELECTION, bin_width=0.05)
    kept, older = ax.containers
    assert [bar.get_height() for bar in kept] == pytest.approx([0.3, 0.5])
    assert [bar.get_height() for bar in older] == pytest.approx([0.05, 0.15])
    centers = [bar.get_x() + bar.get_width() / 2 for bar in (*older, *kept)]
    assert centers == pytest.approx([-150, -100, -50, 0])
    assert ax.get_xlabel() == "time before now (ms)"
    assert "newest 2 (T*)" in texts(ax)
    assert line(ax, "uniform").get_ydata()[0] == 0.25
    in_timesteps = visualization.plot_attention_profile(SELECTION)
    assert in_timesteps.get_xlabel() == "time before now (timesteps)"


def test_cumulative_share():
    ax = visualization.plot_cumulative_share(SELECTION)
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert ax.lines[0].get_ydata().tolist() == pytest.approx(
        [0.5, 0.8, 0.95, 1]
    )
    assert line(ax, "threshold 0.75").get_ydata()[0] == 0.75
    assert line(ax, "T* = 2").get_xdata()[0] == 2


def test_score_against_timesteps():
    ax = visualization.plot_score_against_timesteps(
        RECOMMENDATION, {2: 0.3, 3: 0.4}
    )
    mean = line(ax, "no attention (mean over seeds)")
    assert list(mean.get_xdata()) == [1, 2, 3, 4]
    assert mean.get_ydata() == pytest.approx([0, 0.45, 0.84, 0.85])
    assert list(line(ax, "Wiener filter").get_ydata()) == [0.3, 0.4]
    assert line(ax, "recommended: 3").get_xdata()[0] == 3
    assert line(ax, "proposed by attention: 4").get_xdata()[0] == 4
    assert line(ax, "full window - 0.02").get_ydata()[0] == pytest.approx(0.83)
    # Every seed is drawn.
    assert sorted(y for dots in ax.lines[1:4] for y in dots.get_ydata()) == [
        0.4, 0.5, 0.8, 0.83, 0.85, 0.9,
    ]  # fmt: skip


def test_decoded_trace():
    true = np.arange(5.0)
    ax = visualization.plot_decoded_trace(true, true + 1, 0.1, "velocity")
    np.testing.assert_allclose(line(ax, "true").get_ydata(), true)
    np.testing.assert_allclose(line(ax, "decoded").get_ydata(), true + 1)
    np.testing.assert_allclose(
        line(ax, "decoded").get_xdata(), np.arange(5) * 0.1
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "velocity")
    with pytest.raises(ValueError, match="of the same length"):
        visualization.plot_decoded_trace(true, true[:-1])


def test_a_decoded_trace_is_broken_at_seams():
    true = np.arange(5.0)
    ax = visualization.plot_decoded_trace(
        true, true + 1, 0.1, bins=[3, 4, 9, 10, 11]
    )
    np.testing.assert_allclose(
        line(ax, "decoded").get_ydata(), [1, 2, np.nan, 3, 4, 5]
    )
    np.testing.assert_allclose(
        line(ax, "true").get_xdata(), [0, 0.1, np.nan, 0.6, 0.7, 0.8]
    )


def test_latency():
    ax = visualization.plot_latency({"a": [3.0, 1, 2, 4], "b": [5.0]}, 0.064)
    label = "a: p50 2.50, p95 3.85, p99 3.97 ms"
    np.testing.assert_allclose(line(ax, label).get_xdata(), [1, 2, 3, 4])
    # Three quarters took 2 ms or longer.
    np.testing.assert_allclose(
        line(ax, label).get_ydata(), [1, 0.75, 0.5, 0.25]
    )
    np.testing.assert_allclose(line(ax, "bin 64 ms").get_xdata(), [64, 64])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    with pytest.raises(ValueError, match=r"shape \(0,\) for 'a'"):
        visualization.plot_latency({"a": []})


def test_confusion_matrix():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    ax = visualization.plot_confusion_matrix(matrix, ("a", "b", "c"))
    (image,) = ax.images
    np.testing.assert_allclose(
        image.get_array(), [[0.8, 0.2, 0], [0.25, 0.75, 0], [0, 0, 0]]
    )
    assert image.get_clim() == (0, 1)
    for text in ax.texts:
        column, row = text.get_position()
        assert text.get_text() == str(matrix[row, column])
    assert len(ax.texts) == 9
    # A row is a true class; the names stand at both axes.
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list("abc")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list("abc")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recognized as", "true")
    # The last class does not occur.
    (right,) = ax.child_axes
    assert [x.get_text() for x in right.get_yticklabels()] == [
        "0.80",
        "0.75",
        "",
    ]
    with pytest.raises(ValueError, match=r"shape \(2, 2\), one row and column"):
        visualization.plot_confusion_matrix(matrix, ("a", "b"))


def test_learning_curves():
    histories = [
        {"loss": [3.0, 2, 1], "val_loss": [4.0, 3, 2]},
        {"loss": [1.0, 1], "val_loss": [2.0, 5]},
    ]
    ax = visualization.plot_learning_curves(histories, "loss")
    training, watched = line(ax, "training"), line(ax, "watched subjects")
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert list(training.get_ydata()) == [2, 1.5, 1]
    assert list(watched.get_ydata()) == [3, 4, 2]
    assert [list(item.get_ydata()) for item in ax.lines[:2]] == [
        [3, 2, 1],
        [1, 1],
    ]
    assert len(ax.lines) == 6 and ax.get_ylabel() == "loss"
    alone = visualization.plot_learning_curves([{"accuracy": [0.5, 1]}])
    assert texts(alone) == ["training"]


def test_attention_over_past():
    scores = np.zeros((4, 2, 3))
    scores[0, :, 2] = 1  # one cell yet
    scores[3, 0] = [0.2, 0.3, 0.5]
    scores[3, 1] = [0.4, 0.5, 0.1]
    ax = visualization.plot_attention_over_past(scores, rate=50)
    (image,) = ax.images
    drawn = image.get_array()  # (age, time), the first row at the bottom
    assert image.origin == "lower"
    np.testing.assert_allclose(drawn[:, 0], [1, 0, 0])
    np.testing.assert_allclose(drawn[:, 3], [0.3, 0.4, 0.3])
    np.testing.assert_allclose(image.get_extent(), [-0.01, 0.07, 0.5, 3.5])
    assert ax.get_xlabel() == "time (s)"
    # The first two windows are not full; of the others, half is 0.
    assert image.get_clim() == (0, np.percentile([0, 0, 0, 0.3, 0.4, 0.3], 99))
    assert image.get_clim()[1] < 1
    in_timesteps = visualization.plot_attention_over_past(scores)
    assert in_timesteps.get_xlabel() == "timestep"
    with pytest.raises(ValueError, match="must be of rank 3"):
        visualization.plot_attention_over_past(scores[None])


def test_draws_on_given_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert visualization.plot_cumulative_share(SELECTION, ax) is ax
    assert visualization.plot_attention_profile(SELECTION, None, ax) is ax
    assert (
        visualization.plot_score_against_timesteps(RECOMMENDATION, ax=ax) is ax
    )
    assert visualization.plot_decoded_trace([1], [2], ax=ax) is ax
    assert visualization.plot_learning_curves([{"loss": [1]}], "loss", ax) is ax
    assert visualization.plot_attention_over_past([[[1]]], None, ax) is ax
    assert visualization.plot_confusion_matrix([[1]], "a", ax) is ax
    # Last, since its axis is logarithmic.
    assert visualization.plot_latency({"a": [1]}, ax=ax) is ax
    assert len(plt.get_fignums()) == 1
