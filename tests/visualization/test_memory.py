import importlib
import pathlib
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patches import StepPatch

import keras_seqattn as ks
from keras_seqattn import visualization

RECALL = ks.tasks.CueRecall()
ADDITIVE = ks.tasks.additive_task()


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines(ax, label):
    return [item for item in ax.lines if item.get_label() == label]


def spans(ax, label):
    """First and last edge of each marked run; only the first is labelled."""
    rectangles = [p for p in ax.patches if isinstance(p, Rectangle)]
    (color,) = [p.get_facecolor() for p in rectangles if p.get_label() == label]
    return [
        (p.get_x(), p.get_x() + p.get_width())
        for p in rectangles
        if p.get_facecolor() == color
    ]


def queries(ax):
    return [
        line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"
    ]


def traces(ax):
    return [p for p in ax.patches if isinstance(p, StepPatch)]


def rectifier(x, gain, threshold, softness):
    return gain * np.log1p(np.exp(softness * (x - threshold))) / softness


# Traces


def test_traces_of_a_recall_sequence():
    batch = RECALL.test_cases()
    prediction = 0.5 * batch.y[0]
    query = int(batch.query_step[0, 0])
    ax = visualization.plot_memory_traces(
        batch.x[0],
        batch.y[0],
        prediction,
        batch.cue[0],
        batch.query_step[0],
        batch.response[0],
    )
    shown, target, predicted = traces(ax)
    values, edges, _ = shown.get_data()
    np.testing.assert_allclose(values, 1.5 + batch.x[0, :, 0])
    # Each value is centred at its step, the first and the last too.
    np.testing.assert_allclose(edges, np.arange(86) - 0.5)
    assert ax.get_xlim() == (-0.5, 84.5)
    np.testing.assert_allclose(target.get_data().values, batch.y[0, :, 0])
    np.testing.assert_allclose(predicted.get_data().values, prediction[:, 0])
    assert to_rgb(predicted.get_edgecolor()) == to_rgb("k")
    assert to_rgb(target.get_edgecolor()) == to_rgb("C0")
    # Drawn after the target, so over it.
    assert predicted.get_zorder() == target.get_zorder()
    # A cue of one step is one step wide.
    assert spans(ax, "cue") == [(4.5, 5.5)]
    assert spans(ax, "response") == [(query - 0.5, query + 0.5)]
    assert queries(ax) == [query]
    assert texts(ax) == ["target", "prediction", "cue", "response", "query"]
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "input 0",
        "target 0",
    ]


def test_traces_are_stacked_and_scaled():
    batch = ADDITIVE.sample(1, seed=0)
    prediction = batch.y[0] + 0.1
    ax = visualization.plot_memory_traces(
        batch.x[0], batch.y[0], prediction, amplitude=0.8
    )
    drawn = traces(ax)
    assert len(drawn) == 7 + 2 * 4
    bases = np.array([10.5, 9.5, 8.5, 7.5, 6.5, 5.5, 4.5, 3, 2, 1, 0])
    assert ax.get_yticks().tolist() == bases.tolist()
    for channel in range(7):
        np.testing.assert_allclose(
            drawn[channel].get_data().values,
            bases[channel] + batch.x[0, :, channel] / 0.8,
        )
    for channel in range(4):
        target, predicted = drawn[7 + 2 * channel : 9 + 2 * channel]
        for trace, values in (target, batch.y), (predicted, prediction[None]):
            np.testing.assert_allclose(
                trace.get_data().values,
                3 - channel + values[0, :, channel] / 0.8,
                atol=1e-6,
            )
        # An input has the color of the output of the same number.
        assert to_rgb(target.get_edgecolor()) == to_rgb(f"C{channel}")
        assert to_rgb(drawn[channel].get_edgecolor()) == to_rgb(f"C{channel}")
        assert to_rgb(predicted.get_edgecolor()) == (0, 0, 0)
    assert {to_rgb(trace.get_edgecolor()) for trace in drawn[4:7]} == {
        to_rgb("0.3")
    }
    # Nothing is marked that was not given.
    assert texts(ax) == ["target", "prediction"]


def test_traces_without_prediction_with_names_and_colors():
    batch = ks.tasks.factorial_task().sample(1, seed=0)
    names = [f"{slot} {name}" for slot in (9, 10, 11) for name in "abcd"]
    colors = ["tab:blue"] * 4 + ["tab:red"] * 4 + ["tab:orange"] * 4
    ax = visualization.plot_memory_traces(
        batch.x[0],
        batch.y[0],
        input_names=names,
        output_names=names,
        colors=colors,
    )
    assert [to_rgb(trace.get_edgecolor()) for trace in traces(ax)] == [
        to_rgb(color) for color in colors * 2
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names * 2
    assert texts(ax) == ["target"]


def test_marks_at_both_ends_and_in_several_runs():
    x = np.zeros((6, 1))
    ax = visualization.plot_memory_traces(
        x, x, cue=[0, 2, 3], query_step=5, response=[False] * 5 + [True]
    )
    assert spans(ax, "cue") == [(-0.5, 0.5), (1.5, 3.5)]
    assert spans(ax, "response") == [(4.5, 5.5)]
    assert queries(ax) == [5]
    assert texts(ax) == ["target", "cue", "response", "query"]
    twice = visualization.plot_memory_traces(x, x, query_step=[1, 4])
    assert queries(twice) == [1, 4]
    assert texts(twice) == ["target", "query"]
    # No cue at all marks nothing.
    none = visualization.plot_memory_traces(x, x, cue=np.zeros(6, bool))
    assert texts(none) == ["target"]


def test_a_short_mark_in_a_long_sequence_reaches_the_picture():
    """Here a step is a tenth of a pixel wide."""
    figure, ax = plt.subplots(figsize=(3, 2), dpi=100)
    x = np.zeros((3000, 1))
    visualization.plot_memory_traces(x, x, cue=[1500], ax=ax)
    figure.canvas.draw()
    red, green, blue = np.asarray(figure.canvas.buffer_rgba())[..., :3].T / 255
    inside = ax.get_window_extent()
    columns = slice(int(inside.x0) + 5, int(inside.x1) - 5)
    purple = (blue - green > 0.1) & (red - green > 0.02)
    assert purple[columns].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(6)}, r"`x` and `y` must be of rank 2.*\(6,\)"),
        ({"x": np.zeros((5, 2))}, r"x\.shape=\(5, 2\), y\.shape=\(6, 1\)"),
        ({"x": np.zeros((0, 1)), "y": np.zeros((0, 1))}, "at least one step"),
        ({"prediction": np.zeros((1, 6, 1))}, "must have the shape of `y`"),
        ({"amplitude": 0}, "`amplitude` must be a finite number above 0"),
        ({"input_names": ["a"]}, r"`input_names` must hold 2.*\['a'\]"),
        ({"output_names": "ab"}, "`output_names` must hold 1"),
        ({"colors": ["r", "b"]}, "`colors` must hold 1"),
        ({"cue": [6]}, r"`cue` must be .* integers in 0 .. 5.*cue=\[6\]"),
        ({"cue": np.ones(5, bool)}, r"boolean array of shape \(6,\)"),
        ({"query_step": -1}, "`query_step` must be a boolean array"),
        ({"query_step": 2.0}, r"Received: query_step=2\.0"),
        ({"response": np.ones((1, 6), bool)}, "`response` must be"),
        ({"response": True}, "`response` must be"),
    ],
)
def test_traces_errors(change, message):
    arguments = {"x": np.zeros((6, 2)), "y": np.zeros((6, 1)), **change}
    with pytest.raises(ValueError, match=message):
        visualization.plot_memory_traces(**arguments)
    assert not plt.get_fignums()


# The activation at each step


def brightness(line):
    return sum(to_rgb(line.get_color()))


def phases(ax):
    """The curves of each phase in the order of time, by their labels."""
    result, curves = {}, []
    for line in ax.lines:
        curves.append(line)
        if not line.get_label().startswith("_"):
            result[line.get_label()] = curves
            curves = []
    assert not curves
    return result


def test_activation_over_time_colors_phases():
    gain = np.linspace(0.5, 2, 12)[:, None]
    ax = visualization.plot_activation_over_time(gain, ["gain"], [3], [8])
    for step, line in enumerate(ax.lines):
        x, y = line.get_data()
        np.testing.assert_allclose(y, rectifier(x, gain[step, 0], 1, 1), 1e-5)
    assert (x[0], x[-1]) == ax.get_xlim() == (-0.5, 1.5)
    found = phases(ax)
    assert list(found) == texts(ax) == [
        "before the cue: 0 to 2",
        "cue: 3",
        "delay: 4 to 7",
        "from the query on: 8 to 11",
    ]  # fmt: skip
    grey, cue, delay, response = found.values()
    assert [len(lines) for lines in found.values()] == [3, 1, 4, 4]
    for phase in (grey, delay, response):
        shades = [brightness(line) for line in phase]
        assert shades == sorted(shades, reverse=True)
        assert len(set(shades)) == len(shades)
    for line in grey:
        red, green, blue = to_rgb(line.get_color())
        assert red == green == blue
    for line in delay:
        red, green, blue = to_rgb(line.get_color())
        assert red > green > blue
    for line in response:
        red, green, blue = to_rgb(line.get_color())
        assert green > max(red, blue)
    red, green, blue = to_rgb(cue[0].get_color())
    assert blue > red > green
    # The cue of one step lies over all others.
    assert cue[0].get_zorder() > max(
        line.get_zorder() for line in ax.lines if line is not cue[0]
    )


def test_activation_over_time_of_all_parameters():
    rng = np.random.default_rng(0)
    in_effect = rng.uniform(0.5, 2, (5, 3)) * [1, -1, -1]
    names = ("gain", "threshold", "softness")
    ax = visualization.plot_activation_over_time(in_effect, names, 1, 3)
    assert len(ax.lines) == 5
    for values, line in zip(in_effect, ax.lines, strict=True):
        x, y = line.get_data()
        np.testing.assert_allclose(y, rectifier(x, *values), 1e-4)


def test_activation_over_time_of_another_activation():
    in_effect = np.array([[1, 0], [2, 0.5], [5, 1]])
    ax = visualization.plot_activation_over_time(
        in_effect,
        ["n", "s"],
        cue=0,
        query_step=2,
        activation=ks.activations.adaptive_softplus_sigmoid,
        x_range=(-1, 1),
    )
    for (n, s), line in zip(in_effect, ax.lines, strict=True):
        x, y = line.get_data()
        bend = np.log1p(np.exp(n * x)) / n
        np.testing.assert_allclose(
            y, (1 - s) * bend + s / (1 + np.exp(-n * x)), 1e-5
        )
    assert ax.get_xlim() == (-1, 1)


def test_activation_over_time_at_both_ends():
    """The cue is the first step, the query the last, each of one step."""
    cue = np.array([True, False, False])
    ax = visualization.plot_activation_over_time(
        np.ones((3, 1)), ["gain"], cue, 2
    )
    assert texts(ax) == ["cue: 0", "delay: 1", "from the query on: 2"]
    next_to = visualization.plot_activation_over_time(
        np.ones((2, 1)), ["gain"], 0, 1
    )
    assert texts(next_to) == ["cue: 0", "from the query on: 1"]


def test_activation_over_time_of_separate_cues_and_queries():
    """Between two pairs the cue goes on; the first query counts."""
    ax = visualization.plot_activation_over_time(
        np.ones((9, 1)), ["gain"], [1, 3], [5, 7]
    )
    assert texts(ax) == [
        "before the cue: 0",
        "cue: 1 to 3",
        "delay: 4",
        "from the query on: 5 to 8",
    ]


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_the_curve_of_a_step_holds_the_output_of_that_step(lag):
    layer = ks.layers.GainModulatedNeuron(
        2,
        controller_units=4,
        modulated=("gain", "threshold"),
        lag=lag,
        head_kernel_initializer=keras.initializers.RandomNormal(
            stddev=1, seed=1
        ),
    )
    batch = ADDITIVE.sample(1, seed=0)
    y, computed, in_effect = (
        keras.ops.convert_to_numpy(item)
        for item in layer(batch.x, return_modulation=True)
    )
    drive = keras.ops.convert_to_numpy(layer.cell.drive(batch.x))
    ax = visualization.plot_activation_over_time(
        in_effect[0, :, 1],
        layer.cell.modulation.modulated,
        batch.cue[0],
        batch.query_step[0],
        x_range=(drive.min(), drive.max()),
    )
    drawn = [
        np.interp(drive[0, step, 1], *line.get_data())
        for step, line in enumerate(ax.lines)
    ]
    np.testing.assert_allclose(drawn, y[0, :, 1], atol=1e-4)
    assert lag == 0 or np.abs(computed - in_effect).max() > 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_effect": np.ones(6)}, r"\(time, parameters\).*shape=\(6,\)"),
        ({"names": ["n", "s"]}, r"name each parameter.*\['n', 's'\]"),
        ({"cue": []}, "There must be a cue and a query"),
        ({"cue": None}, "There must be a cue and a query"),
        ({"query_step": np.zeros(6, bool)}, "There must be a cue and a query"),
        ({"query_step": 1}, r"after the last cue step.*\[1\].*\[1\]"),
        ({"query_step": 6}, "`query_step` must be a boolean array"),
    ],
)
def test_activation_over_time_errors(change, message):
    arguments = {
        "in_effect": np.ones((6, 1)),
        "names": ["gain"],
        "cue": 1,
        "query_step": 4,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        visualization.plot_activation_over_time(**arguments)
    assert not plt.get_fignums()


# Heat map


def test_modulation():
    gain = np.array([[1, 1, 1], [1, 1.5, 0.8], [1, 0, 1], [1, 1, 2.5]])
    ax = visualization.plot_modulation(gain, "gain", 1, [0], 3, [3])
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), gain.T)
    # Both sides reach equally far, so that the resting value is white.
    assert image.get_clim() == (-0.5, 2.5)
    white = image.cmap(image.norm(1.0))
    assert min(white[:3]) > 0.95
    above, below = image.cmap(image.norm(2.0)), image.cmap(image.norm(0.0))
    assert above[0] > above[2] and below[0] < below[2]
    assert list(image.get_extent()) == [-0.5, 3.5, 2.5, -0.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("timestep", "neuron")
    assert ax.figure.axes[1].get_ylabel() == "gain in effect"
    assert spans(ax, "cue") == [(-0.5, 0.5)]
    assert spans(ax, "response") == [(2.5, 3.5)]
    assert queries(ax) == [3]
    # Cue and response are marked above the map, and hide nothing of it.
    for mark in ax.patches:
        assert mark.get_y() > 1 and not mark.get_clip_on()
    assert texts(ax) == ["cue", "response", "query"]


def test_modulation_of_one_neuron_and_at_rest():
    softness = np.array([[2], [0.5], [2.0]])
    ax = visualization.plot_modulation(softness, "softness", 2.0)
    (image,) = ax.images
    assert image.get_array().shape == (1, 3)
    assert image.get_clim() == (0.5, 3.5)
    assert ax.get_legend() is None
    at_rest = visualization.plot_modulation(np.ones((4, 2)))
    assert at_rest.images[0].get_clim() == (0, 2)
    # What is not finite leaves the scale to the rest.
    broken = visualization.plot_modulation([[1, np.nan], [np.inf, 3]])
    assert broken.images[0].get_clim() == (-1, 3)
    half = visualization.plot_modulation(np.float16([[6e4], [-6e4]]), "s", 0)
    assert half.images[0].get_clim() == (-6e4, 6e4)


@pytest.mark.parametrize("shape", [(5,), (5, 2, 1), (5, 0), (0, 2)])
def test_modulation_errors(shape):
    with pytest.raises(ValueError, match=r"shape \(time, units\)"):
        visualization.plot_modulation(np.ones(shape))
    with pytest.raises(ValueError, match="`response` must be"):
        visualization.plot_modulation(np.ones((5, 2)), response=5)
    assert not plt.get_fignums()


# Accuracy


def test_accuracy_against_delay():
    delay = np.array([2] * 4 + [3] * 4 + [5] * 2)
    correct = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], bool)
    ax = visualization.plot_accuracy_against_delay(
        ks.tasks.accuracy_by_delay(correct, delay),
        {"chance": ADDITIVE.chance, "no binding": ADDITIVE.no_binding_accuracy},
    )
    (container,) = ax.containers
    dots, _, (horizontal, vertical) = container
    # No query has a delay of 4.
    np.testing.assert_allclose(dots.get_xdata(), [2, 3, 5])
    np.testing.assert_allclose(dots.get_ydata(), [1, 0.25, 0])
    np.testing.assert_allclose(
        [np.ptp(bar[:, 0]) for bar in horizontal.get_segments()], 1
    )
    ends = np.array([bar[:, 1] for bar in vertical.get_segments()])
    # Solutions p of (share - p)^2 = p (1 - p) / count.
    for (low, high), share, count in zip(
        ends, (1, 0.25, 0), (4, 4, 2), strict=True
    ):
        for p in (low, high):
            assert (share - p) ** 2 == pytest.approx(p * (1 - p) / count)
        assert low <= share <= high and high - low > 0.1
    assert texts(ax) == [
        "chance: 0.25",
        "no binding: 0.5625",
        "10 queries, 2 to 4 a bin",
    ]
    for label, level in (
        ("chance: 0.25", 0.25),
        ("no binding: 0.5625", 0.5625),
    ):
        (line,) = lines(ax, label)
        assert list(line.get_ydata()) == [level] * 2
    styles = {line.get_linestyle() for line in ax.lines[1:]}
    assert len(styles) == 2
    low, high = ax.get_ylim()
    assert low < 0 and high > 1


def test_accuracy_of_one_delay():
    ax = visualization.plot_accuracy_against_delay(
        ks.tasks.accuracy_by_delay(
            np.array([[True], [False]]), np.full((2, 1), 7)
        )
    )
    (container,) = ax.containers
    assert container[0].get_xydata().tolist() == [[7, 0.5]]
    assert texts(ax) == ["2 queries, 2 a bin"]


def test_accuracy_errors():
    nothing = ks.tasks.accuracy_by_delay(
        np.array([True]), np.array([9]), [1, 2]
    )
    with pytest.raises(ValueError, match="a query in at least one bin"):
        visualization.plot_accuracy_against_delay(nothing)
    assert not plt.get_fignums()


def test_confusion_matrix_of_recalled_values():
    batch = ADDITIVE.sample(50, seed=0)
    recalled = np.where(batch.answer == 2, 0, batch.answer)
    matrix = np.zeros((4, 4), int)
    np.add.at(matrix, (batch.answer, recalled), 1)
    ax = visualization.plot_confusion_matrix(matrix, ("Ann", "Bo", "Cy", "Di"))
    share = ax.images[0].get_array()
    # Of what was shown (rows), Cy was always recalled as Ann.
    np.testing.assert_allclose(share, np.eye(4)[[0, 1, 0, 3]])
    assert [t.get_text() for t in ax.get_yticklabels()][2] == "Cy"
    assert sum(int(text.get_text()) for text in ax.texts) == 50


# Learning curves


def test_learning_curves_with_levels():
    history = {"loss": [0.02, 0.01, 0.001], "val_loss": [0.02, 0.02, 0.002]}
    levels = {
        name: level.mse
        for name, level in ADDITIVE.reference_levels(
            ADDITIVE.sample(100, seed=0)
        ).items()
    }
    ax = visualization.plot_learning_curves(
        history, "loss", watched="held-out sequences", levels=levels, log=True
    )
    assert ax.get_yscale() == "log"
    (held_out,) = lines(ax, "held-out sequences")
    assert held_out.get_ydata().tolist() == history["val_loss"]
    labels = [f"{name}: {value:.4g}" for name, value in levels.items()]
    assert texts(ax) == ["training", "held-out sequences", *labels]
    for label, value in zip(labels, levels.values(), strict=True):
        (line,) = lines(ax, label)
        assert list(line.get_ydata()) == [value] * 2
    plain = visualization.plot_learning_curves([history], "loss")
    assert plain.get_yscale() == "linear"
    assert texts(plain) == ["training", "watched subjects"]


@pytest.mark.parametrize("value", [np.nan, "low", (0.1, 0.2)])
def test_levels_are_numbers(value):
    with pytest.raises(ValueError, match="`levels` must map names to finite"):
        visualization.plot_learning_curves(
            [{"loss": [1]}], "loss", levels={"zeros": value}
        )


# All


def test_draws_on_given_axes():
    figure, (traces, curves, accuracy, image) = plt.subplots(4)
    x, in_effect = np.zeros((4, 2)), np.ones((4, 1))
    assert visualization.plot_memory_traces(x, x, ax=traces) is traces
    drawn = visualization.plot_activation_over_time(
        in_effect, ["gain"], 0, 2, ax=curves
    )
    assert drawn is curves
    result = ks.tasks.accuracy_by_delay(np.array([True]), np.array([3]))
    drawn = visualization.plot_accuracy_against_delay(result, ax=accuracy)
    assert drawn is accuracy
    assert visualization.plot_modulation(in_effect, ax=image) is image
    assert plt.get_fignums() == [figure.number]


def test_matplotlib_is_for_figures_alone():
    """Keras may import it too, so `sys.modules` cannot tell."""
    package = pathlib.Path(ks.__file__).parent
    # The package's own door, and a command: they open it when asked to.
    doors = (package / "__init__.py", package / "activity/__main__.py")
    for path in package.glob("**/*.py"):
        if path.parent.name != "visualization":
            source = path.read_text()
            assert "matplotlib" not in source, path
            if path not in doors:
                assert "visualization" not in source, path


def test_matplotlib_is_asked_for(monkeypatch):
    for name in [*sys.modules]:
        if name.startswith("keras_seqattn.visualization"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"install keras_seqattn\[plot\]"):
        importlib.import_module("keras_seqattn.visualization.memory")
