import dataclasses

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import calibrate
from keras_seqattn.decoding import predict_recording
from keras_seqattn.export import preprocessing_of

UNITS, LENGTH, BINS = 16, 5, 3000
MINUTES = 2000 * 0.064 / 60  # The last 1000 bins are for the test.


def days(**drift):
    return [
        day.recording
        for day in ks.tasks.simulated_days(
            2, bins=BINS, units=UNITS, mean_rate=30.0, **drift
        )
    ]


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    data = DecodingData(days()[0], LENGTH, (0.8, 0.1, 0.1))
    decoder = ks.models.build_neural_decoder(
        LENGTH,
        UNITS,
        units=16,
        cell="gru",
        pooling="last",
        dropout=0.2,
        name="trained",
    )
    decoder.compile(keras.optimizers.Adam(1e-2), "mse")
    x, y = data.windows("train")
    decoder.fit(x, y, batch_size=128, epochs=8, verbose=0)
    return data, decoder, data.deploy(decoder)


@pytest.fixture(scope="module")
def model(trained):
    return trained[2]


def decoded(model, recording):
    return predict_recording(model, recording).decoded


def late_r2(model, recording):
    predictions = predict_recording(model, recording)
    return predictions.score(predictions.bins >= 2000 + LENGTH).r2


def with_units(recording, ids, spikes):
    return dataclasses.replace(recording, spikes=spikes, unit_ids=ids)


def test_reordered_units_decode_alike(model):
    recording = days()[0]
    order = np.random.default_rng(0).permutation(UNITS)
    mixed = with_units(
        recording, [int(i) for i in order], recording.spikes[:, order]
    )
    calibrated = calibrate(model, mixed, minutes=0)
    expected = decoded(model, recording)
    np.testing.assert_allclose(
        decoded(calibrated, mixed), expected, atol=1e-5 * expected.std()
    )
    said = preprocessing_of(calibrated)
    assert said.unit_ids == tuple(order.tolist())
    assert said.bin_width == 0.064
    # And back, from one calibrated to one for the first order.
    again = calibrate(calibrated, recording, minutes=0)
    np.testing.assert_allclose(
        decoded(again, recording), expected, atol=1e-5 * expected.std()
    )
    names = [layer.name for layer in again.layers]
    assert names.count("core") == 1


def test_lost_units_are_at_their_mean_and_new_ones_not_heard(trained):
    data, _, model = trained
    recording = days()[0]
    lost = [3, 8]
    at_mean = recording.spikes.copy()
    at_mean[:, lost] = data.spike_standardizer.mean[lost] ** 2
    expected = decoded(model, dataclasses.replace(recording, spikes=at_mean))
    kept = [i for i in range(UNITS) if i not in lost]
    noise = np.random.default_rng(0).poisson(9.0, size=(BINS, 1))
    other = with_units(
        recording,
        [*kept, "new"],
        np.concatenate([recording.spikes[:, kept], noise], axis=1),
    )
    calibrated = calibrate(model, other, minutes=0)
    np.testing.assert_allclose(
        decoded(calibrated, other), expected, atol=1e-4 * expected.std()
    )


def test_without_labels_counts_are_standardized_anew(trained):
    _, decoder, model = trained
    second = days(gain_drift=0.5)[1]
    # What the movement is must not matter.
    unknown = dataclasses.replace(second, movement=second.movement * 0)
    calibrated = calibrate(model, unknown, MINUTES, labels=False)
    roots = np.sqrt(second.spikes)
    known = roots[:2000]
    x = (roots - known.mean(axis=0)) / known.std(axis=0)
    x = x[-LENGTH:][None].astype("float32")
    movement = trained[0].movement_standardizer
    expected = movement.inverse(decoder.predict(x, verbose=0))
    np.testing.assert_allclose(
        decoded(calibrated, second)[-1:], expected, rtol=1e-3, atol=1e-3
    )
    as_it_was = calibrate(model, second, 0)
    assert late_r2(calibrated, second) > late_r2(as_it_was, second) + 0.03


def test_calibrated_beats_uncalibrated(model, capsys):
    second = days(turnover=0.25, gain_drift=0.3, tuning_drift=0.6)[1]
    before = model.get_weights()
    recipe = dataclasses.replace(
        ks.decoding.CALIBRATION, epochs=8, learning_rate=3e-3
    )
    calibrated = calibrate(model, second, MINUTES, recipe=recipe, verbose=1)
    said = [
        float(line.split("R2 ")[1].split()[0])
        for line in capsys.readouterr().out.splitlines()
    ]
    assert len(said) == 4
    # The best of all candidates on the last fifth is the one returned.
    predictions = predict_recording(calibrated, second)
    fifth = (predictions.bins >= 1600 + LENGTH - 1) & (predictions.bins < 2000)
    assert predictions.score(fifth).r2 == pytest.approx(max(said), abs=2e-3)
    uncalibrated = late_r2(calibrate(model, second, 0), second)
    assert late_r2(calibrated, second) > uncalibrated + 0.15
    # Of a decoder that is not changed.
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(layer.trainable for layer in calibrated.layers)


def test_labels_that_mean_nothing_do_no_harm(model):
    first = days()[0]
    movement = first.movement.copy()
    # All that could be learnt is wrong; the last fifth of them tells.
    movement[:1600] = np.random.default_rng(0).permutation(movement[:1600])
    wrong = dataclasses.replace(first, movement=movement)
    recipe = dataclasses.replace(ks.decoding.CALIBRATION, epochs=2)
    calibrated = calibrate(model, wrong, MINUTES, recipe=recipe)
    assert late_r2(calibrated, first) > late_r2(model, first) - 0.01


@pytest.mark.nan  # A proof tries negative counts, which have no root.
def test_file_stream_and_the_day_after(model, tmp_path):
    second = days(turnover=0.25)[1]
    recipe = dataclasses.replace(ks.decoding.CALIBRATION, epochs=2)
    calibrated = calibrate(
        model, second, MINUTES, recipe=recipe, fine_tune=False
    )
    expected = decoded(calibrated, second)
    calibrated.save(tmp_path / "calibrated.keras")
    loaded = keras.saving.load_model(tmp_path / "calibrated.keras")
    np.testing.assert_allclose(
        decoded(loaded, second), expected, rtol=1e-5, atol=1e-5
    )
    step = ks.streaming.step_model(loaded, window=LENGTH)
    session = ks.streaming.StreamingSession(step)
    for counts in second.spikes[:LENGTH]:
        found = session.push(counts)
    np.testing.assert_allclose(found, expected[0], rtol=1e-3, atol=1e-3)
    # A day later half of what it had is lost.
    half = with_units(second, second.unit_ids[8:], second.spikes[:, 8:])
    third = calibrate(loaded, half, minutes=0)
    at_mean = second.spikes.copy()
    at_mean[:, :8] = np.square(preprocessing_of(loaded).mean[:8])
    np.testing.assert_allclose(
        decoded(third, half),
        decoded(loaded, dataclasses.replace(second, spikes=at_mean)),
        rtol=1e-3,
        atol=1e-3,
    )


def test_without_ids_units_are_taken_in_order(trained):
    data, decoder, _ = trained
    plain = dataclasses.replace(data.recording, unit_ids=None)
    model = DecodingData(plain, LENGTH, (0.8, 0.1, 0.1)).deploy(decoder)
    expected = decoded(model, plain)
    calibrated = calibrate(model, plain, 0)
    np.testing.assert_allclose(
        decoded(calibrated, plain), expected, rtol=1e-5, atol=1e-5
    )
    fewer = dataclasses.replace(plain, spikes=plain.spikes[:, 1:])
    with pytest.raises(ValueError, match="Received: 15 units, expected: 16"):
        calibrate(model, fewer, 0)


@pytest.mark.parametrize(
    "changes, arguments, message",
    [
        ({}, {"minutes": -1}, "`minutes` must be"),
        ({}, {"minutes": 100}, "must be in the recording"),
        ({}, {"minutes": 0.01}, "Give more `minutes`"),
        ({"unit_ids": range(100, 116)}, {"minutes": 0}, "none of the units"),
        ({"unit_ids": None}, {"minutes": 1}, "knows its units by id"),
        ({"bin_width": 0.05}, {"minutes": 1}, "another `bin_width`"),
        ({"movement": np.ones((BINS, 1))}, {}, "of 1 axes, expected: .* of 2"),
        ({"movement": np.ones((BINS, 2))}, {}, "the movement moves"),
    ],
)
def test_bad_recordings(model, changes, arguments, message):
    recording = dataclasses.replace(days()[0], **changes)
    with pytest.raises(ValueError, match=message):
        calibrate(model, recording, **arguments)


def test_bad_decoders(trained):
    _, decoder, model = trained
    with pytest.raises(ValueError, match=r"must be of `DecodingData\.deploy`"):
        calibrate(decoder, days()[0], 0)
    recipe = dataclasses.replace(
        ks.decoding.CALIBRATION, class_weights="balanced"
    )
    with pytest.raises(ValueError, match="`class_weights`"):
        calibrate(model, days()[0], 1, recipe=recipe)
