import dataclasses
import functools

import keras
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn._keras_internals import find_layers
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Recipe
from keras_seqattn.decoding import Score
from keras_seqattn.decoding import decode_recording
from keras_seqattn.decoding.training import DecoderTrainer
from keras_seqattn.decoding.training import TrainedDecoders
from keras_seqattn.windows.cutting import take_windows
from tests.backend import to_numpy

TIMESTEPS = 4
RECORDING = ks.tasks.simulated_reaching(
    bins=1500, units=12, kernel_length=2, mean_rate=40.0, segment_bins=200
)

RECIPE = dataclasses.replace(
    decoding.RECIPE, epochs=6, batch_size=64, learning_rate=0.02
)


def search(recording=RECORDING, **arguments):
    return decode_recording(
        recording,
        **{
            "timesteps": TIMESTEPS,
            "seeds": (0, 1),
            "tolerance": 0.03,
            "build": functools.partial(
                ks.models.build_neural_decoder, units=16, head_units=16
            ),
            "recipe": RECIPE,
            "baselines": {"least squares": LinearRegression()},
            "verbose": 0,
            **arguments,
        },
    )


@pytest.fixture(scope="module")
def report():
    return search()


def test_score_by_hand():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(40, 2)) * [1, 3] + [5, 0]
    decoded = true + rng.normal(size=(40, 2))
    found = Score.of(true, decoded)
    per_axis = [
        1 - np.sum((true[:, i] - decoded[:, i]) ** 2)
        / (40 * np.var(true[:, i]))
        for i in (0, 1)
    ]  # fmt: skip
    np.testing.assert_allclose(found.r2_per_axis, per_axis)
    np.testing.assert_allclose(
        found.r2, np.average(per_axis, weights=true.var(axis=0))
    )
    metric = keras.metrics.R2Score("variance_weighted_average")
    metric.update_state(true, decoded)
    assert found.r2 == pytest.approx(float(to_numpy(metric.result())), abs=1e-5)
    expected = [np.corrcoef(true[:, i], decoded[:, i])[0, 1] for i in (0, 1)]
    assert found.correlation == pytest.approx(np.mean(expected))
    constant = Score.of(true, np.tile(true.mean(0), (40, 1)))
    assert (constant.r2, constant.correlation) == (
        pytest.approx(0),
        0,
    )


def test_only_training_bins_set_the_scale():
    changed = RECORDING.spikes.copy()
    changed[1050:] *= 3  # validation and test: the last 30 %
    movement = RECORDING.movement.copy()
    movement[1050:] += 100
    one = DecodingData(RECORDING, TIMESTEPS)
    other = DecodingData(
        ks.decoding.Recording(changed, movement, RECORDING.segment), TIMESTEPS
    )
    for name in ("spike_standardizer", "movement_standardizer"):
        np.testing.assert_array_equal(
            getattr(one, name).mean, getattr(other, name).mean
        )
        np.testing.assert_array_equal(
            getattr(one, name).scale, getattr(other, name).scale
        )
    x, y = one.windows("train")
    flat = x[:, -1].std(axis=0)
    np.testing.assert_allclose(flat, 1, atol=0.05)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-5)


def test_windows_of_every_length_end_at_the_same_bins():
    data = DecodingData(RECORDING, TIMESTEPS)
    for part in ("train", "validation", "test"):
        longest, targets = data.windows(part)
        for k in (1, 3):
            x, y = data.windows(part, k)
            np.testing.assert_array_equal(x, longest[:, -k:])
            np.testing.assert_array_equal(y, targets)
        ends = data.ends[part]
        # The newest bin is the bin whose movement is decoded.
        np.testing.assert_allclose(
            data.spike_standardizer.inverse(longest[:, -1]) ** 2,
            RECORDING.spikes[ends],
            atol=1e-4,
        )
        np.testing.assert_allclose(
            data.movement_standardizer.inverse(targets),
            RECORDING.movement[ends],
            atol=1e-4,
        )


def test_the_wiener_filter_finds_a_linear_map():
    rng = np.random.default_rng(0)
    spikes = rng.normal(size=(2000, 4))
    movement = spikes[:, :2].copy()
    movement[1:] += 2 * spikes[:-1, 2:]
    movement += 0.1 * rng.normal(size=movement.shape)
    data = DecodingData(
        ks.decoding.Recording(spikes, movement), 5, transform=None
    )
    # Noise of variance 0.01 beside a signal of variance 5.
    wiener = decoding.WienerFilter()
    assert wiener.fit(data, 5).score(data).r2 == pytest.approx(
        1 - 0.01 / 5, abs=1e-3
    )
    assert wiener.fit(data, 1).score(data).r2 == pytest.approx(0.2, abs=0.05)
    assert decoding.mean_baseline(data).r2 == pytest.approx(0, abs=0.02)


def test_a_deployed_decoder_takes_counts_and_gives_movement():
    spikes = RECORDING.spikes.copy()
    spikes[:, 3] = 2  # a dead channel
    recording = ks.decoding.Recording(
        spikes, RECORDING.movement, RECORDING.segment
    )
    data = DecodingData(recording, TIMESTEPS)
    decoder = ks.models.build_neural_decoder(4, 12, units=5)
    x, _ = data.windows("test", 4)
    expected = data.movement_standardizer.inverse(decoder.predict(x, verbose=0))
    counts = take_windows(spikes, data.ends["test"], 4)
    found = data.deploy(decoder).predict(counts, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    # A dead channel that wakes up does not throw the decoder off.
    counts[:, :, 3] = 3
    awake = data.deploy(decoder).predict(counts, verbose=0)
    assert np.abs(awake).max() < 100


def test_finds_the_planted_window(report):
    assert report.recommendation.timesteps == 2
    assert report.recommendation.proposal == report.selection.timesteps
    assert set(report.cells) == {
        ("last", 4),
        ("attention", 4),
        ("attention", 2),
        ("last", 2),
    }
    assert all(len(scores) == 2 for scores in report.cells.values())
    assert report.baselines["training mean", 0].r2 < 0.02
    assert set(report.wiener_curve) == set(report.recommendation.scores)


def test_simple_decoders_can_be_pushed(report):
    """From the report on, with the numbers of its table."""
    assert set(report.simple_decoders) == set(report.baselines) - {
        ("training mean", 0)
    }
    for key, decoder in report.simple_decoders.items():
        decoded = []
        for window in report.test_windows:
            decoder.reset()
            decoded.append([decoder.push(counts) for counts in window][-1])
        found = Score.of(report.test_movement, np.stack(decoded)).r2
        # The Kalman filter has seen what came before the window too.
        near = 0.2 if key[0] == "Kalman filter" else 1e-4
        if key[1] <= 2:
            assert found == pytest.approx(report.baselines[key].r2, abs=near)


def test_the_decoder_is_the_best_on_validation(report):
    found = Score.of(
        report.test_movement,
        report.decoder.predict(report.test_windows, verbose=0),
    )
    validation = report.recommendation.scores[2]
    best = int(np.argmax(validation))
    assert found.r2 == pytest.approx(report.cells["last", 2][best].r2, abs=1e-4)
    assert report.cells["last", 2][1 - best].r2 != pytest.approx(
        found.r2, abs=1e-4
    )
    # A file of it holds no optimizer.
    layers = find_layers(report.decoder)
    assert not any(getattr(layer, "compiled", False) for layer in layers)


def test_an_axis_that_stands_still():
    true = np.array([[1.0, 5], [2, 5], [4, 5]])
    found = Score.of(true, true + np.array([[0.5, 0], [0, 0.5], [0, 0]]))
    assert found.r2_per_axis[1] == 0
    assert np.isfinite([found.r2, found.correlation]).all()
    assert Score.of(true, true).r2 == 1


def test_half_precision_is_not_served():
    keras.config.set_dtype_policy("mixed_float16")
    data = DecodingData(RECORDING, TIMESTEPS)
    model = data.deploy(ks.models.build_neural_decoder(4, 12, units=5))
    found = model(RECORDING.spikes[None, :4])
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


def test_the_test_part_takes_no_part_in_any_choice(report):
    """Other test data: the same proposal, search and decoders."""
    rng = np.random.default_rng(3)
    spikes, movement = RECORDING.spikes.copy(), RECORDING.movement.copy()
    spikes[1200:] = rng.poisson(5.0, size=spikes[1200:].shape)
    movement[1200:] = rng.normal(size=movement[1200:].shape)
    other = search(ks.decoding.Recording(spikes, movement, RECORDING.segment))
    np.testing.assert_allclose(
        other.selection.profile, report.selection.profile, atol=1e-5
    )
    assert other.recommendation.timesteps == report.recommendation.timesteps
    for k, scores in report.recommendation.scores.items():
        np.testing.assert_allclose(
            other.recommendation.scores[k], scores, atol=1e-3
        )
    assert other.cells["last", 2][0].r2 < 0.05


def test_the_table_and_the_dictionary_hold_the_numbers(report):
    table = report.table()
    rows = table.splitlines()
    # The mean and the Kalman filter once, three decoders at two lengths.
    assert len(rows) == 2 + 2 + 3 * 2 + 4 and "RMSE" in rows[0]
    assert len({row.count("|") for row in rows}) == 1
    wiener = report.baselines["Wiener filter", 2]
    weights = 2 * RECORDING.spikes.shape[1] * 2
    assert f"| Wiener filter | 2 | {wiener.r2:.3f} |" in table
    assert f" | {weights + 2} | {4 * weights + 8} | {weights} |  |" in table
    (row,) = [row for row in rows if row.startswith("| Kalman filter | 1 |")]
    assert row.endswith("| 144 | 576 | 108 |  |")
    (row,) = [row for row in rows if row.startswith("| least squares | 2 |")]
    assert row.endswith("|  |  |  |  |")
    (row,) = [row for row in rows if row.startswith("| no attention | 2 |")]
    costs = report.costs["last", 2]
    assert (
        f"| {costs.parameters:,} | {costs.bytes:,} | {costs.multiply_adds:,} |"
        in row
    )
    scores = [score.r2 for score in report.cells["last", 2]]
    mean, deviation = np.mean(scores), np.std(scores, ddof=1)
    assert f"| no attention | 2 | {mean:.3f} ± {deviation:.3f} |" in table
    numbers = report.to_dict()
    assert numbers["recommended_timesteps"] == 2
    assert numbers["wiener_validation_r2"]["2"] == report.wiener_curve[2]
    costs = {row["decoder"]: row["costs"] for row in numbers["baselines"]}
    assert costs["Kalman filter"]["parameters"] == 144
    assert numbers["test"][3]["seeds"][0]["r2"] == scores[0]
    latency = report.latency["last", 2]
    assert 0 < latency.p50 <= latency.p95


def test_a_window_that_cannot_shrink_and_the_originals_rule():
    """T* = T: the four cells are two, each once."""
    with pytest.warns(UserWarning, match="made from the test windows"):
        found = search(
            timesteps=1,
            seeds=(1,),
            recipe=dataclasses.replace(RECIPE, epochs=1),
            selection_part="test",
            rule="original",
        )
    assert set(found.cells) == {("last", 1), ("attention", 1)}
    for name in ("Wiener filter", "Wiener cascade", "Kalman filter"):
        assert found.table().count(f"| {name} |") == 1
    settings = found.to_dict()["settings"]
    assert settings["epochs"] == 1 and settings["average"] == "epoch"
    assert (settings["selection_part"], settings["rule"]) == (
        "test",
        "original",
    )


def test_the_selection_part_is_the_one_asked_for(monkeypatch):
    asked = []

    def attention_scores(self, part):
        asked.append(part)
        raise InterruptedError

    monkeypatch.setattr(TrainedDecoders, "attention_scores", attention_scores)
    monkeypatch.setattr(
        DecoderTrainer,
        "train",
        lambda self, *arguments: TrainedDecoders(*[None] * 6),
    )
    for part in ("train", "validation"):
        with pytest.raises(InterruptedError):
            search(selection_part=part)
    assert asked == ["train", "validation"]


def test_a_seed_does_not_depend_on_the_others():
    """With dropout and shuffling, which draw random numbers all the time."""
    build = functools.partial(
        ks.models.build_neural_decoder, units=5, head_units=4, dropout=0.3
    )
    data = DecodingData(RECORDING, 2)

    def losses(*seeds):
        recipe = dataclasses.replace(RECIPE, epochs=3, average=0.9, patience=3)
        return (
            DecoderTrainer(data, build, seeds, recipe, 0)
            .train("last", 2)
            .losses
        )

    one, other = losses(0, 1)
    again, *_ = losses(1)
    assert abs(one - other) > 1e-4
    assert other == pytest.approx(again, rel=1e-5)


class Averages(keras.callbacks.Callback):
    """The average of the weights by hand, at the end of each epoch."""

    def __init__(self, highest):
        super().__init__()
        self.highest = highest

    def on_train_begin(self, logs=None):
        self.mean, self.found, self.step = None, [], 0

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        now = self.model.get_weights()
        momentum = min(self.highest, (1 + self.step) / (10 + self.step))
        self.step += 1
        self.mean = [
            momentum * mean + (1 - momentum) * weight
            for mean, weight in zip(self.mean or now, now, strict=True)
        ]

    def on_epoch_end(self, epoch, logs=None):
        self.found.append((logs["val_loss"], self.mean))


@pytest.mark.parametrize("epochs, average", [(2, 0.9), (12, "epoch")])
def test_the_averages_are_scored_and_kept(epochs, average, monkeypatch):
    """At the end of all epochs, and where patience ends them."""
    data = DecodingData(RECORDING, 2)
    steps = -(-len(data.ends["train"]) // 64)
    averages = Averages(0.9 if average == 0.9 else 1 - 1 / steps)
    callbacks = Recipe.callbacks
    monkeypatch.setattr(
        Recipe, "callbacks", lambda recipe: [averages, *callbacks(recipe)]
    )
    build = functools.partial(
        ks.models.build_neural_decoder, units=5, head_units=4
    )
    recipe = dataclasses.replace(
        RECIPE, epochs=epochs, learning_rate=0.3, average=average, patience=1
    )
    trained = DecoderTrainer(data, build, (1,), recipe, 0).train("last", 2)
    losses, means = zip(*averages.found, strict=True)
    assert (len(losses) == epochs) == (epochs == 2)
    best = int(np.argmin(losses))
    assert trained.losses == [losses[best]]
    (weights,) = trained.weights
    for weight, mean in zip(weights, means[best], strict=True):
        np.testing.assert_allclose(weight, mean, rtol=1e-3, atol=1e-5)
    x, y = data.windows("validation", 2)
    trained.model.set_weights(weights)
    error = np.mean((trained.model.predict(x, verbose=0) - y) ** 2)
    assert error == pytest.approx(losses[best], rel=1e-3)


def test_folds_train_and_score_on_their_own_blocks():
    found = search(
        timesteps=2,
        seeds=(0, 1),
        recipe=dataclasses.replace(RECIPE, epochs=4),
        folds=3,
    )
    best = found.recommendation.timesteps
    lengths = sorted({2, best})
    assert set(found.folds) == {
        ("training mean", 0),
        ("Kalman filter", 1),
        *(("Wiener filter", k) for k in lengths),
        *(("Wiener cascade", k) for k in lengths),
        *(("least squares", k) for k in lengths),
        *(("no attention", k) for k in lengths),
    }
    for number, parts in enumerate(decoding.fold_parts(RECORDING, 3)):
        data = DecodingData(RECORDING, 2, parts=parts)
        (wiener,) = found.folds["Wiener filter", 2][number]
        assert wiener == decoding.WienerFilter().fit(data).score(data)
        one, other = found.folds["no attention", 2][number]
        assert one != other and min(one.r2, other.r2) > 0.5
    means = [np.mean([s.r2 for s in f]) for f in found.folds["no attention", 2]]
    spread = f"{np.mean(means):.3f} ± {np.std(means, ddof=1):.3f}"
    row = f"| no attention | 2 | {spread}"
    assert row in found.fold_table()
    assert f"| {min(means):.3f} | {max(means):.3f} |" in found.fold_table()
    told = found.to_dict()["folds"][-1]["seeds_by_fold"]
    assert [len(seeds) for seeds in told] == [2, 2, 2]


def test_the_report_tells_what_was_decoded(report):
    np.testing.assert_allclose(
        report.predictions.decoded,
        report.decoder.predict(report.test_windows, verbose=0),
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_array_equal(
        report.test_movement, RECORDING.movement[report.predictions.bins]
    )
    halves = report.score_by(np.arange(1500) > 1350)
    assert [*halves] == [False, True]
    assert report.to_dict()["coverage"]["test"]["bins"] == 300


@pytest.mark.nan
def test_training_that_explodes():
    with pytest.raises(
        ValueError, match=r"ended in NaN\. Use a smaller `learn"
    ):
        search(
            recipe=Recipe(epochs=2, learning_rate=1e30, clipnorm=None),
            seeds=(0,),
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"timesteps": 201}, "No segment is long enough for a window of 201"),
        ({"timesteps": 160}, "The validation part holds no window of 160"),
        ({"fractions": (0.5, 0.5)}, "`fractions` must hold three shares"),
        ({"fractions": (0.9, 0.09, 0.0)}, "above 0 and have the sum 1"),
        ({"transform": "log"}, "`transform` must be one of"),
        ({"selection_part": "all"}, "`selection_part` must be one of"),
        ({"seeds": ()}, "`seeds` must hold at least one"),
        ({"seeds": (1, 1)}, "none twice"),
        (
            {"recipe": Recipe(label_smoothing=0.1)},
            "`label_smoothing` of a recipe means nothing to a decoder of mov",
        ),
        ({"recipe": Recipe(class_weights="balanced")}, "must be None. Rec"),
        ({"recipe": Recipe(augmentation={"name": "a"})}, "`augmentation` of"),
        ({"rule": "none"}, "`rule` must be one of"),
        ({"baselines": {"mine": 3}}, "`baselines` must hold objects with"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        search(**arguments)


def test_a_threshold_out_of_range_is_refused_before_any_training(monkeypatch):
    monkeypatch.setattr(DecoderTrainer, "train", None)
    with pytest.raises(
        ValueError, match="`threshold` must be a number above 0"
    ):
        search(threshold=1.5)
    with pytest.raises(ValueError, match="`tolerance` must be a finite"):
        search(tolerance=-0.1)


def test_negative_counts():
    recording = ks.decoding.Recording(RECORDING.spikes - 1, RECORDING.movement)
    with pytest.raises(ValueError, match="use transform=None"):
        DecodingData(recording, 4)
    assert DecodingData(recording, 4, transform=None).windows("train")


def test_window_length_out_of_range():
    data = DecodingData(RECORDING, TIMESTEPS)
    with pytest.raises(ValueError, match=r"`timesteps` must be in 1 .. 4"):
        data.windows("train", 7)
    with pytest.raises(ValueError, match="`part` must be one of"):
        data.windows("testing")
