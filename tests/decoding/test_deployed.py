import dataclasses

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import predict_recording

UNITS, LENGTH = 6, 4
IDS = (11, 4, "7b", 30, 2, 19)


def recording(bins=400, seed=0, **fields):
    rng = np.random.default_rng(seed)
    segment = np.repeat(np.arange(4), bins // 4)
    times = 100 + 0.05 * np.arange(1, bins + 1) + 10 * segment
    found = Recording(
        rng.poisson(2.0, size=(bins, UNITS)),
        rng.normal(5, 3, size=(bins, 2)),
        segment,
        0.05,
        "velocity (cm/s)",
        times=times,
        unit_ids=IDS,
        lag=0.1,
        scored=rng.random(bins) < 0.8,
    )
    return dataclasses.replace(found, **fields)


def deployed(timesteps=LENGTH, **settings):
    data = DecodingData(recording(), LENGTH)
    decoder = ks.models.build_neural_decoder(
        timesteps, UNITS, units=5, **settings
    )
    return data, decoder, data.deploy(decoder)


def by_hand(data, decoder, spikes):
    """What a decoder says of one window of counts."""
    scaler, movement = data.spike_standardizer, data.movement_standardizer
    x = (np.sqrt(spikes) - scaler.mean) / scaler.scale
    found = decoder.predict(x[None].astype("float32"), verbose=0)[0]
    return found * movement.scale + movement.mean


def test_what_a_deployed_decoder_says_of_its_recording():
    data, _, model = deployed()
    said = ks.export.preprocessing_of(model)
    assert said == ks.export.Preprocessing(
        mean=data.spike_standardizer.mean,
        scale=data.spike_standardizer.scale,
        transform="sqrt",
        in_model=True,
        window=LENGTH,
        timesteps=LENGTH,
        bin_width=0.05,
        lag=0.1,
        quantity="velocity (cm/s)",
        unit_ids=IDS,
    )


def test_each_bin_with_a_whole_window(tmp_path):
    data, decoder, model = deployed()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    other = recording(bins=80, seed=1)
    found = predict_recording(loaded, other, batch_size=7)
    # Four segments of 20 bins; scored or not.
    expected = [b for b in range(80) if b % 20 >= LENGTH - 1]
    assert found.bins.tolist() == expected
    np.testing.assert_array_equal(found.times, other.times[expected])
    for row in (0, 16, 17, 50, 67):
        end = expected[row]
        window = other.spikes[end - LENGTH + 1 : end + 1]
        np.testing.assert_allclose(
            found.decoded[row], by_hand(data, decoder, window), atol=1e-4
        )


def test_the_test_part_by_another_way():
    data, decoder, model = deployed()
    x, _ = data.windows("test")
    expected = data.score("test", decoder.predict(x, verbose=0))
    found = predict_recording(model, data.recording)
    ends = data.ends["test"]
    score = found.score(np.isin(found.bins, ends))
    assert score.r2 == pytest.approx(expected.r2, abs=1e-5)


def test_bins_between_trials_are_decoded_and_not_scored(tmp_path):
    _, _, model = deployed()
    other = recording(bins=80, seed=1, trial=np.arange(80) // 40)
    found = predict_recording(model, other)
    scored = other.scored[found.bins]
    assert 5 < (~scored).sum() < 40
    expected = ks.decoding.Score.of(
        other.movement[found.bins[scored]], found.decoded[scored]
    )
    assert found.score() == expected
    first = scored & (found.bins < 40)
    assert found.score_by("trial")[0] == ks.decoding.Score.of(
        other.movement[found.bins[first]], found.decoded[first]
    )
    found.save(tmp_path / "decoded.csv")
    text = (tmp_path / "decoded.csv").read_text()
    rows = [line.split(",") for line in text.splitlines()]
    column = rows[0].index("scored")
    assert [row[column] for row in rows[1:]] == [str(int(x)) for x in scored]


def test_a_free_time_axis():
    # One thing about a window: of the length that the data had.
    data, decoder, model = deployed(timesteps=None, pooling="last")
    found = predict_recording(model, recording(bins=80, seed=1))
    window = recording(bins=80, seed=1).spikes[37 - LENGTH + 1 : 38]
    (row,) = np.flatnonzero(found.bins == 37)
    np.testing.assert_allclose(
        found.decoded[row], by_hand(data, decoder, window), atol=1e-4
    )


def test_a_model_that_runs_on():
    data = DecodingData(recording(), LENGTH)
    inputs = keras.Input((None, UNITS))
    x = keras.layers.GRU(5, return_sequences=True)(inputs)
    decoder = keras.Model(inputs, keras.layers.Dense(2)(x))
    # Segments of two lengths, two of them alike.
    segment = np.repeat([0, 1, 2], [30, 20, 30])
    other = recording(80, 1, segment=segment, times=None)
    found = predict_recording(data.deploy(decoder), other, batch_size=1)
    assert found.bins.tolist() == list(range(80))
    np.testing.assert_allclose(found.times, 0.05 * np.arange(1, 81))
    for part in (slice(0, 30), slice(30, 50), slice(50, 80)):
        np.testing.assert_allclose(
            found.decoded[part],
            by_hand(data, decoder, other.spikes[part]),
            atol=1e-4,
        )


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"bin_width": 0.1, "times": None},
            "another `bin_width`: count the spikes in bins.*Received: "
            r"bin_width=0\.1, expected: 0\.05 s",
        ),
        (
            {"bin_width": None, "times": None},
            r"Received: bin_width=None, expected: 0\.05 s",
        ),
        ({"lag": 0.0}, r"another `lag`.*Received: lag=0\.0, expected: 0\.1 s"),
        (
            {"unit_ids": (4, 11, *IDS[2:])},
            "in another order. Reorder.*Received: 4 in column 0, expected: 11",
        ),
        (
            {"unit_ids": (*IDS[:4], 3, "x")},
            "on other units.*Received: 3, 'x', which it does not know; "
            "missing: 2, 19",
        ),
        ({"unit_ids": None}, r"dataclasses.replace\(recording, unit_ids="),
        (
            {"spikes": np.ones((80, 5)), "unit_ids": None},
            "on other units.*Received: 5 units, expected: 6",
        ),
    ],
)
def test_another_recording_is_refused(fields, message):
    _, _, model = deployed()
    with pytest.raises(ValueError, match=message):
        predict_recording(model, recording(bins=80, **fields))


def test_what_was_not_said_is_not_asked_for():
    plain = Recording(recording().spikes, recording().movement)
    model = DecodingData(plain, LENGTH).deploy(
        ks.models.build_neural_decoder(LENGTH, UNITS, units=5)
    )
    said = ks.export.preprocessing_of(model)
    assert (said.bin_width, said.unit_ids, said.lag) == (None, None, 0.0)
    found = predict_recording(model, plain)
    assert found.times.tolist() == list(range(LENGTH, 401))  # In bins.
    # The width of a bin is not known, so any may be.
    again = recording(80, lag=0.0, unit_ids=None)
    assert len(predict_recording(model, again).times) == 80 - 4 * (LENGTH - 1)


def test_models_that_will_not_do():
    _, decoder, model = deployed()
    with pytest.raises(ValueError, match=r"`DecodingData\.deploy"):
        predict_recording(decoder, recording())
    step = ks.streaming.step_model(model, window=LENGTH)
    with pytest.raises(ValueError, match="Of a one-step twin give the model"):
        predict_recording(step, recording())
    with pytest.raises(ValueError, match="No segment is long enough"):
        short = recording(80, segment=np.arange(80) // 2, times=None)
        predict_recording(model, short)
