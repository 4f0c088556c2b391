import gzip
import json
import struct

import keras
import numpy as np
import pytest

from keras_seqattn import learning_rules
from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules import METHODS
from keras_seqattn.learning_rules import LabelledImages
from keras_seqattn.learning_rules import LayerwiseSGD
from keras_seqattn.learning_rules import Rates
from keras_seqattn.learning_rules import RateSearch
from keras_seqattn.learning_rules import RuleTrainer
from keras_seqattn.learning_rules import compare_learning_rules
from keras_seqattn.learning_rules.images.baseline import logistic_error
from keras_seqattn.learning_rules.images.methods import HalfSumOfSquares
from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy

UNITS, PIXELS = [5, 4, 3], 6
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(8, PIXELS)).astype("float32")
LABELS = RANDOM.integers(3, size=8)
Y = np.eye(3, dtype="float32")[LABELS]


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def images(count=40, test=8):
    """Three classes that one pixel each tells apart.

    In batches of 8 every batch is full, which spares compilations.
    """
    random = np.random.default_rng(1)
    y = random.integers(3, size=count + test)
    x = 0.2 * random.uniform(size=(count + test, PIXELS))
    x[np.arange(len(y)), y] += 0.8
    return LabelledImages(x[:count], y[:count], x[count:], y[count:], "three")


# --- The images


def test_digits():
    digits = learning_rules.load_digits()
    assert digits.x_train.shape == (1437, 64) and digits.x_test.shape[0] == 360
    assert digits.classes == 10 and digits.pixels == 64
    assert digits.x_train.min() == 0 and digits.x_train.max() == 1
    both = np.concatenate([digits.x_train, digits.x_test])
    from sklearn.datasets import load_digits

    original = load_digits().data / 16
    np.testing.assert_array_equal(
        np.sort(both.sum(axis=1)), np.sort(original.astype("f4").sum(axis=1))
    )
    again = learning_rules.load_digits()
    np.testing.assert_array_equal(digits.y_test, again.y_test)
    # The commonest class is right on about a tenth.
    assert 0.85 < digits.chance < 0.95


def test_hold_out_is_cut_from_the_training_images():
    x = np.arange(50)[:, None] / 50
    whole = LabelledImages(x, np.arange(50) % 2, x[:3], [0, 1, 1])
    part = whole.hold_out()
    assert (len(part.x_train), len(part.x_test)) == (40, 10)
    found = np.concatenate([part.x_train, part.x_test])
    np.testing.assert_array_equal(np.sort(found, axis=0), whole.x_train)
    labels = np.concatenate([part.y_train, part.y_test])
    np.testing.assert_array_equal(np.round(50 * found[:, 0]) % 2, labels)
    assert whole.chance == 2 / 3
    with pytest.raises(ValueError, match="`share` must lie in"):
        whole.hold_out(1.0)


def write_idx(path, values):
    data = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    data += values.astype("uint8").tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_mnist_files(tmp_path):
    random = np.random.default_rng(2)
    x = {part: random.integers(256, size=(10, 4, 3)) for part in "ab"}
    y = {part: random.integers(10, size=10) for part in "ab"}
    np.savez(
        tmp_path / "mnist.npz",
        x_train=x["a"],
        y_train=y["a"],
        x_test=x["b"],
        y_test=y["b"],
    )
    from_npz = learning_rules.load_mnist(tmp_path / "mnist.npz")
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", x["b"])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", y["b"])
    one_pair = learning_rules.load_mnist(tmp_path)
    assert one_pair.x_train.shape == (8, 12) and len(one_pair.x_test) == 2
    found = np.concatenate([one_pair.x_train, one_pair.x_test])
    np.testing.assert_allclose(
        np.sort(found, axis=0),
        np.sort(x["b"].reshape(10, 12) / 255, axis=0),
        rtol=1e-6,
    )
    write_idx(tmp_path / "train-images-idx3-ubyte", x["a"])
    write_idx(tmp_path / "train-labels-idx1-ubyte", y["a"])
    from_folder = learning_rules.load_mnist(str(tmp_path))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(
            getattr(from_npz, name), getattr(from_folder, name)
        )
    np.testing.assert_allclose(
        from_npz.x_train, x["a"].reshape(10, 12) / 255, rtol=1e-6
    )


def test_broken_mnist_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no MNIST at"):
        learning_rules.load_mnist(tmp_path / "nothing.npz")
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        learning_rules.load_mnist(tmp_path)
    np.savez(tmp_path / "a.npz", x_train=X, y_train=LABELS)
    with pytest.raises(ValueError, match="without x_test, y_test"):
        learning_rules.load_mnist(tmp_path / "a.npz")
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    file = tmp_path / "train-images-idx3-ubyte"
    write_idx(file, np.zeros((8, 2, 2)))
    whole = file.read_bytes()
    for broken in (whole[:-1], whole[:9], b"", b"\0\0\x0d" + whole[3:]):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match="An IDX file must begin with"):
            learning_rules.load_mnist(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x_train": X[0]}, "`x_train` and `y_train` must have the shapes"),
        ({"y_test": LABELS[:3]}, "`x_test` and `y_test` must have the shapes"),
        ({"x_train": 2 * X}, r"`x_train` must lie in \[0, 1\]"),
        ({"x_test": X * np.nan}, r"`x_test` must lie in \[0, 1\]"),
        ({"y_train": LABELS / 2}, "`y_train` must hold integers"),
        ({"y_train": LABELS - 5}, "`y_train` must hold integers"),
        ({"y_train": 0 * LABELS, "y_test": 0 * LABELS}, "at least two classes"),
        ({"x_test": X[:, :4]}, "must have as many pixels. Received: 6 and 4"),
    ],
)
def test_image_checks(change, message):
    good = {"x_train": X, "y_train": LABELS, "x_test": X, "y_test": LABELS}
    with pytest.raises(ValueError, match=message):
        LabelledImages(**{**good, **change})


# --- The rules


def test_all_methods_start_from_the_same_weights():
    kernels, feedback = [], []
    for method in METHODS.values():
        keras.utils.set_random_seed(3)
        model = method.build(UNITS, PIXELS)
        kernels.append([to_numpy(layer.kernel) for layer in model.layers])
        if isinstance(model, BurstPropNetwork):
            feedback.append(to_numpy(model.layers[1].feedback_kernel))
            assert not np.array_equal(feedback[-1], kernels[-1][1])
    for others in kernels[1:]:
        for one, other in zip(kernels[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
    for other in feedback[1:]:
        np.testing.assert_array_equal(feedback[0], other)
    # Outputs begin at a third each.
    bias = to_numpy(model.layers[-1].bias)
    np.testing.assert_allclose(sigmoid(bias), 1 / 3, rtol=1e-6)
    # The same on every backend: NumPy drew them.
    np.random.seed(3)
    np.testing.assert_allclose(
        kernels[0][0],
        np.random.normal(scale=np.sqrt(2 / 11), size=(6, 5)),
        rtol=1e-6,
    )


def reference_steps(weights, send_down, rates, momentum=0.9, decay=1e-4):
    """Three steps of gradient descent on half the sum of squares, float64.

    `send_down` are what takes each layer's update down instead of the kernels.
    With them the decay leaves the step itself alone, as `BurstPropNetwork`'s.
    """
    weights = [np.asarray(w, "float64") for w in weights]
    velocity = [np.zeros_like(w) for w in weights]
    for _ in range(3):
        events = [X]
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            events.append(sigmoid(events[-1] @ kernel + bias))
        update = (events[-1] - Y) * events[-1] * (1 - events[-1])
        gradients = []
        for layer in (2, 1, 0):
            below = events[layer]
            gradients[:0] = [below.T @ update, update.sum(axis=0)]
            down = weights[2 * layer] if send_down is None else send_down[layer]
            update = below * (1 - below) * (update @ down.T)
        for index, gradient in enumerate(gradients):
            rate = rates[index // 2]
            velocity[index] = momentum * velocity[index] - rate * gradient
            shrink = 1 if index % 2 else 1 - decay
            step = velocity[index] * (shrink if send_down is None else 1)
            weights[index] = shrink * weights[index] + step
    return weights


@pytest.mark.parametrize("name", ["backpropagation", "feedback alignment"])
def test_gradient_methods_take_the_reference_s_steps(name):
    """In the same unit: rate 0.05 and ratio 3 mean the same for both."""
    method = METHODS[name]
    trainer = RuleTrainer(method, PIXELS, UNITS, epochs=3, batch_size=8)
    keras.utils.set_random_seed(7)
    model = method.build(UNITS, PIXELS)
    weights = [
        to_numpy(weight)
        for layer in model.layers
        for weight in (layer.kernel, layer.bias)
    ]
    down = None
    if name == "feedback alignment":
        down = [to_numpy(layer.feedback_kernel) for layer in model.layers]
    trainer.fit(Rates(0.05, 3.0), 7, X, LABELS)
    expected = reference_steps(weights, down, [0.45, 0.15, 0.05])
    found = [
        to_numpy(weight)
        for layer in trainer.model.layers
        for weight in (layer.kernel, layer.bias)
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    moved = [abs(a - b).max() for a, b in zip(found, weights, strict=True)]
    assert min(moved) > 2e-4


def test_half_sum_of_squares():
    found = HalfSumOfSquares()(Y, X[:, :3])
    np.testing.assert_allclose(
        to_numpy(found), ((Y - X[:, :3]) ** 2).sum() / 2, rtol=1e-6
    )


def test_burstprop_takes_about_backpropagation_s_steps_in_its_unit():
    """The kernels as feedback and small weights: equal to first order."""
    method = METHODS["burstprop"]
    network = BurstPropNetwork(UNITS, feedback="tied")
    plain = METHODS["backpropagation"].network(UNITS)
    changes = []
    for model, unit in (
        (network, method),
        (plain, METHODS["backpropagation"]),
    ):
        model.build((None, PIXELS))
        for layer in model.layers:
            rows, columns = map(np.arange, layer.kernel.shape)
            layer.kernel.assign(0.3 * np.sin(3 * rows[:, None] + columns))
        before = [to_numpy(layer.kernel) for layer in model.layers]
        model.compile(
            LayerwiseSGD(unit.rate_unit * 0.01, ratio=unit.ratio_unit),
            unit.loss,
        )
        model.train_on_batch(X, Y)
        changes.append(
            [
                to_numpy(layer.kernel) - kernel
                for layer, kernel in zip(model.layers, before, strict=True)
            ]
        )
    for burst, plain in zip(*changes, strict=True):
        # The plain network has the decay.
        size = abs(burst).max()
        np.testing.assert_allclose(burst, plain, atol=0.1 * size + 1e-4)


def test_output_only_leaves_the_hidden_layers_alone():
    trainer = RuleTrainer(
        METHODS["output only"], PIXELS, UNITS, 2, batch_size=8
    )
    assert trainer.sgd_rates(Rates(0.1, 7.0)) == (0.5, 0.0)
    keras.utils.set_random_seed(1)
    model = METHODS["output only"].build(UNITS, PIXELS)
    before = [to_numpy(layer.kernel) for layer in model.layers]
    trainer.fit(Rates(0.1, 7.0), 1, X, LABELS)
    after = [to_numpy(layer.kernel) for layer in trainer.model.layers]
    for one, other in zip(before[:2], after[:2], strict=True):
        # All methods have the decay.
        np.testing.assert_allclose(other, one * (1 - 1e-4) ** 2, rtol=1e-6)
    assert abs(after[2] - before[2]).max() > 1e-2


# --- The optimizer


def test_layerwise_sgd_is_learning_rate_multipliers():
    ratio, found = 2.5, []
    for settings, optimizer in (
        (
            {"learning_rate_multipliers": [ratio**2, ratio, 1.0]},
            keras.optimizers.SGD(0.3, momentum=0.9),
        ),
        ({}, LayerwiseSGD(0.3, ratio=ratio, momentum=0.9)),
    ):
        model = BurstPropNetwork(UNITS, feedback="kolen_pollack", **settings)
        model.build((None, PIXELS))
        random = np.random.default_rng(5)
        model.set_weights(
            [random.normal(size=w.shape) for w in model.get_weights()]
        )
        model.compile(optimizer, "mse")
        for _ in range(4):
            model.train_on_batch(X, Y)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_compiled_method_can_be_saved(tmp_path):
    trainer = RuleTrainer(METHODS["feedback alignment"], PIXELS, UNITS, 1, 8)
    trainer.fit(Rates(0.1, 2.0), 0, X, LABELS)
    trainer.model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert isinstance(loaded, learning_rules.FeedbackAlignmentNetwork)
    np.testing.assert_allclose(to_numpy(loaded.optimizer.ratio), 2.0)
    for model in (trainer.model, loaded):
        model.train_on_batch(X, Y)
    np.testing.assert_allclose(
        trainer.model.predict(X, verbose=0),
        loaded.predict(X, verbose=0),
        rtol=1e-5,
    )


# --- The search and the comparison


def test_search_tries_each_part_of_a_range_once():
    search = RateSearch(10, 2, output=(1e-3, 1e-1), ratio=(2.0, 32.0), seed=4)
    drawn = np.array(list(search))
    assert drawn.shape == (10, 2) and len(search) == 10
    np.testing.assert_array_equal(drawn, list(search))
    for column, (low, high) in zip(
        drawn.T, ((1e-3, 1e-1), (2.0, 32.0)), strict=True
    ):
        share = np.log(column / low) / np.log(high / low)
        np.testing.assert_array_equal(
            np.sort(np.floor(10 * share)), np.arange(10)
        )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"trials": 0}, "`trials` must be a positive integer"),
        ({"finalists": 0}, "`finalists` must be a positive integer"),
        ({"repeats": -1}, "`repeats` must be an integer that is not negative"),
        ({"seed": -1}, "`seed` must be an integer that is not negative"),
        ({"output": (0.1, 0.1)}, "`output` must be two numbers above 0"),
        ({"ratio": (0.0, 1.0)}, "`ratio` must be two numbers above 0"),
    ],
)
def test_search_checks(settings, message):
    with pytest.raises(ValueError, match=message):
        RateSearch(**settings)


def test_a_training_depends_on_seed_and_rates_alone():
    trainer = RuleTrainer(METHODS["burstprop"], PIXELS, UNITS, 3, batch_size=8)
    first = trainer.fit(Rates(0.05, 1.0), 0, X, LABELS)
    other = trainer.fit(Rates(0.01, 1.0), 0, X, LABELS)
    ratio = trainer.fit(Rates(0.05, 9.0), 0, X, LABELS)
    seed = trainer.fit(Rates(0.05, 1.0), 1, X, LABELS)
    again = trainer.fit(Rates(0.05, 1.0), 0, X, LABELS)
    assert first == again
    # Its first epoch, one batch, is scored before anything was learned.
    assert other["mse"][0] == pytest.approx(first["mse"][0])
    for different in (other, ratio, seed):
        assert different["mse"][2] != first["mse"][2]


class Watch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["watched"] = 10.0 + epoch


def test_comparison():
    methods = ["backpropagation", "burstprop"]
    report = compare_learning_rules(
        images(),
        [6],
        methods=methods,
        search=RateSearch(2, 1, 1, output=(0.04, 0.08), ratio=(1.0, 4.0)),
        seeds=[0, 1],
        epochs=10,
        batch_size=8,
        callbacks=lambda name: [Watch()] if name == "burstprop" else [],
        verbose=0,
    )
    assert report.units == (6, 6, 3) and report.images == (32, 8, 8)
    assert list(report.results) == methods
    assert report.results["backpropagation"].error < 0.1
    assert report.results["burstprop"].error < 0.1
    for name, result in report.results.items():
        assert len(result.test_errors) == 2
        # The better half was trained twice; the best of it was taken.
        assert [len(trial.errors) for trial in result.trials] == [2, 1]
        first = [(t.errors[0], t.mses[0]) for t in result.trials]
        assert first == sorted(first)
        assert result.best is result.trials[0]
        np.testing.assert_allclose(
            [1 - h["val_accuracy"][-1] for h in result.best.histories],
            result.best.errors,
            atol=1e-6,
        )
        # No test image is looked at before the end.
        wanted = {"accuracy", "loss", "mse"}
        if name == "burstprop":
            wanted.add("watched")
        assert set(result.histories[0]) == wanted
        # The model is the last seed's.
        test = images()
        outputs = result.model.predict(test.x_test, verbose=0)
        error = np.mean(outputs.argmax(axis=-1) != test.y_test)
        assert error == pytest.approx(result.test_errors[1])
    assert report.results["burstprop"].histories[1]["watched"][9] == 19

    table = report.table().splitlines()
    assert table[0].startswith("| three, 6-6-3 | test error, % | median |")
    assert [row.split(" | ")[0] for row in table[2:]] == [
        "| chance",
        "| logistic",
        *(f"| {name}" for name in methods),
    ]
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["results"]["burstprop"]["test_errors"] == list(
        report.results["burstprop"].test_errors
    )
    assert numbers["search"]["ratio"] == [1.0, 4.0]


def test_a_training_that_ends_in_nan_loses_the_search(monkeypatch, capsys):
    fit = RuleTrainer.fit

    def fail_once(self, rates, *arguments, **named):
        if rates.output > 0.04:
            raise EndedInNaN("ended in NaN")
        return fit(self, rates, *arguments, **named)

    monkeypatch.setattr(RuleTrainer, "fit", fail_once)
    report = compare_learning_rules(
        images(),
        [4],
        methods=["backpropagation"],
        search=RateSearch(3, 3, 0, output=(0.01, 0.09), ratio=(1.0, 2.0)),
        seeds=[0],
        epochs=1,
        batch_size=8,
    )
    result = report.results["backpropagation"]
    assert result.best.rates.output < 0.04
    lost = [t.to_dict() for t in result.trials if t.rates.output > 0.04]
    assert [trial["mses"] for trial in lost] == [[None]]
    assert lost[0]["errors"] == [1]
    shown = capsys.readouterr().out
    assert "backpropagation, learning rates" in shown
    assert "backpropagation, seed 0" in shown


def test_comparison_checks():
    for settings, message in (
        ({"methods": ["magic"]}, "`methods` must be one of"),
        ({"seeds": []}, "`seeds` must hold at least one"),
        ({"epochs": 0}, "`epochs` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"momentum": 1.0}, "`momentum` must be a number in the half-open"),
        ({"hidden_units": [0]}, "`hidden_units` must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_learning_rules(images(), **settings)


def test_logistic_baseline():
    assert logistic_error(images()) == 0
    swapped = images()
    wrong = LabelledImages(
        swapped.x_train,
        swapped.y_train,
        swapped.x_test,
        (swapped.y_test + 1) % 3,
    )
    assert logistic_error(wrong) == 1
