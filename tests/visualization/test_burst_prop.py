import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from keras_seqattn import visualization
from keras_seqattn.callbacks.burst_prop_monitor import BurstPropMonitor
from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network

NAMES = (
    "angle_to_backprop",
    "angle_to_feedback",
    "apical_potential",
    "burst_slope",
)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(ax, label):
    (line,) = [item for item in ax.lines if item.get_label() == label]
    return [list(values) for values in line.get_data()]


def bands(ax):
    """Epoch -> (lowest, highest) of each band."""
    found = []
    for item in ax.collections:
        assert isinstance(item, PolyCollection)
        (path,) = item.get_paths()
        points = path.vertices
        found.append({
            x: (min(points[points[:, 0] == x, 1]),
                max(points[points[:, 0] == x, 1]))
            for x in points[:, 0]
        })  # fmt: skip
    return found


def layers_of(name):
    """In a network of three layers."""
    return {"angle_to_backprop": [0, 1, 2], "angle_to_feedback": [1, 2]}.get(
        name, [0, 1]
    )


def history(seed=0, epochs=4):
    rng = np.random.default_rng(seed)
    return {
        "loss": list(rng.uniform(size=epochs)),
        "val_loss": list(rng.uniform(size=epochs)),
        **{
            f"layer_{n}/{name}": list(rng.uniform(size=epochs))
            for name in NAMES
            for n in layers_of(name)
        },
    }


def baseline(seed=9):
    return {
        name: values[0]
        for name, values in history(seed).items()
        if "layer" in name
    }


# How a network learned by bursts


def test_one_training():
    found = history()
    axes = visualization.plot_burst_learning(found, levels={"chance": 0.9})
    assert drawn(axes[0], "training") == [[1, 2, 3, 4], found["loss"]]
    assert drawn(axes[0], "validation") == [[1, 2, 3, 4], found["val_loss"]]
    assert drawn(axes[0], "chance: 0.9")[1] == [0.9, 0.9]
    assert texts(axes[0]) == ["training", "validation", "chance: 0.9"]
    levels = {1: "unrelated: 90", 2: "unrelated: 90", 4: "not saturated: 0.25"}
    for index, name in enumerate(NAMES, start=1):
        ax, numbers = axes[index], layers_of(name)
        for number in numbers:
            assert drawn(ax, f"layer {number}") == [
                [1, 2, 3, 4],
                found[f"layer_{number}/{name}"],
            ]
        level = [levels[index]] if index in levels else []
        assert texts(ax) == [f"layer {number}" for number in numbers] + level
    assert drawn(axes[1], "unrelated: 90")[1] == [90, 90]
    assert drawn(axes[4], "not saturated: 0.25")[1] == [0.25, 0.25]
    assert [ax.get_xlabel() for ax in axes] == ["epoch"] * 5
    assert [ax.get_ylabel() for ax in axes] == [
        "loss",
        "angle to backprop (degrees)",
        "angle to feedback (degrees)",
        "mean |apical potential|",
        "mean p (1 - p)",
    ]
    assert not any(ax.collections for ax in axes)
    assert len(plt.get_fignums()) == 1


def test_a_layer_has_one_color():
    axes = visualization.plot_burst_learning(history())
    colors = {
        (line.get_label(), line.get_color())
        for ax in axes[1:]
        for line in ax.lines
        if line.get_label().startswith("layer")
    }
    assert len(colors) == len(dict(colors)) == 3
    assert len({color for _, color in colors}) == 3


def test_baseline_is_at_epoch_0():
    found, before = history(), baseline()
    axes = visualization.plot_burst_learning(found, baselines=before)
    name = "layer_1/apical_potential"
    epochs, values = drawn(axes[3], "layer 1")
    assert epochs == [0, 1, 2, 3, 4]
    assert values == [before[name], *found[name]]
    assert drawn(axes[0], "training")[0] == [1, 2, 3, 4]
    assert len(found[name]) == 4  # the caller's list is not changed


def test_several_trainings():
    """Means and bands, of those trainings that reached the epoch."""
    first, second = history(1), history(2, epochs=2)
    before = [baseline(3), baseline(4)]
    axes = visualization.plot_burst_learning([first, second], baselines=before)
    name = "layer_2/angle_to_feedback"
    both = [
        [before[0][name], before[1][name]],
        [first[name][0], second[name][0]],
        [first[name][1], second[name][1]],
        [first[name][2]],
        [first[name][3]],
    ]
    epochs, mean = drawn(axes[2], "layer 2")
    assert epochs == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(mean, [np.mean(values) for values in both])
    band = bands(axes[2])[1]
    for epoch, values in enumerate(both):
        np.testing.assert_allclose(band[epoch], (min(values), max(values)))
    assert texts(axes[0]) == ["training, mean of 2", "validation, mean of 2"]


def test_eleven_layers_are_in_order():
    found = {"loss": [1.0], **{
        f"layer_{n}/angle_to_backprop": [float(n)] for n in range(11)
    }}  # fmt: skip
    ax = visualization.plot_burst_learning(found)[1]
    assert texts(ax)[:-1] == [f"layer {n}" for n in range(11)]
    assert drawn(ax, "layer 10")[1] == [10]


def test_of_what_the_callback_logs():
    model, monitor = compiled_network(), BurstPropMonitor(X, Y)
    fitted = model.fit(X, Y, epochs=2, verbose=0, callbacks=[monitor])
    found = fitted.history
    axes = visualization.plot_burst_learning(found, baselines=monitor.baseline)
    logged = {name for name in found if name.startswith("layer")}
    assert logged == set(baseline())
    for ax, name in zip(axes[1:], NAMES, strict=True):
        for number in layers_of(name):
            key = f"layer_{number}/{name}"
            values = [monitor.baseline[key], *found[key]]
            assert drawn(ax, f"layer {number}") == [[0, 1, 2], values]
    plt.figure(plt.get_fignums()[0]).canvas.draw()


def test_on_given_axes():
    """Rows of a grid, for methods side by side."""
    figure, grid = plt.subplots(2, 5)
    for row in grid:
        axes = visualization.plot_burst_learning(history(), axes=row)
        assert list(axes) == list(row)
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match=r"hold 5 axes.* Received: 10 axes"):
        visualization.plot_burst_learning(history(), axes=grid)


def test_without_hidden_layers():
    axes = visualization.plot_burst_learning(
        {"loss": [1.0], "layer_0/angle_to_backprop": [0.0]}
    )
    assert [ax.get_visible() for ax in axes] == [True, True, *[False] * 3]


def test_histories_that_do_not_fit():
    plot = visualization.plot_burst_learning
    with pytest.raises(ValueError, match=r"in every history.*metric='mae'"):
        plot(history(), "mae")
    with pytest.raises(ValueError, match="at least one training"):
        plot([])
    with pytest.raises(ValueError, match=r"what `callbacks\.BurstPropMonitor`"):
        plot({"loss": [1.0]})
    shallow = {"loss": [1.0], "layer_0/angle_to_backprop": [0.0]}
    with pytest.raises(ValueError, match="with as many layers"):
        plot([history(), shallow])
    with pytest.raises(ValueError, match="with as many layers"):
        plot(history(), baselines={"layer_0/angle_to_backprop": 0.0})
    with pytest.raises(ValueError, match="Received: 2 for 1"):
        plot(history(), baselines=[baseline(), baseline()])
    assert not plt.get_fignums()


# Methods side by side


def test_methods():
    methods = {
        "bursts": [
            {"val_accuracy": [0.1, 0.5, 0.75]},
            {"val_accuracy": [0.3, 0.7]},
        ],
        "backprop": {"val_accuracy": [0.2, 0.9]},
    }
    ax = visualization.plot_learning_by_method(methods, levels={"chance": 0.1})
    assert texts(ax) == ["bursts, mean of 2", "backprop", "chance: 0.1"]
    epochs, mean = drawn(ax, "bursts, mean of 2")
    assert epochs == [1, 2, 3]
    np.testing.assert_allclose(mean, [0.2, 0.6, 0.75])
    (band,) = bands(ax)
    assert band == {1: (0.1, 0.3), 2: (0.5, 0.7), 3: (0.75, 0.75)}
    assert drawn(ax, "backprop") == [[1, 2], [0.2, 0.9]]
    assert drawn(ax, "chance: 0.1")[1] == [0.1, 0.1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "val_accuracy")
    assert ax.get_yscale() == "linear"


def test_methods_on_given_axes():
    figure, given = plt.subplots()
    ax = visualization.plot_learning_by_method(
        {"bursts": {"loss": [1, 0.1]}}, "loss", log=True, ax=given
    )
    assert ax is given
    assert ax.get_yscale() == "log"
    assert plt.get_fignums() == [figure.number]


def test_a_training_that_diverged_is_seen():
    ax = visualization.plot_learning_by_method(
        {"bursts": [{"loss": [1.0, np.nan]}, {"loss": [1.0, 0.5]}]}, "loss"
    )
    _, mean = drawn(ax, "bursts, mean of 2")
    assert mean[0] == 1 and np.isnan(mean[1])


@pytest.mark.parametrize("methods", [{}, {"bursts": []}])
def test_methods_without_a_training(methods):
    with pytest.raises(ValueError, match="at least one training of each"):
        visualization.plot_learning_by_method(methods)


def test_methods_without_the_metric():
    with pytest.raises(ValueError, match=r"'val_accuracy', .* \['loss'\]"):
        visualization.plot_learning_by_method({"bursts": {"loss": [1.0]}})
    assert not plt.get_fignums()
