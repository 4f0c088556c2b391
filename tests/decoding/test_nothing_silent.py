"""Wrong inputs of the decoding doors: told, or right."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.io

import keras_seqattn as ks
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import KalmanFilter
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import Score
from keras_seqattn.decoding import SpikeBinner
from keras_seqattn.decoding import WienerFilter
from keras_seqattn.decoding import calibrate
from keras_seqattn.decoding import load_recording
from keras_seqattn.decoding import predict_recording
from keras_seqattn.decoding.parts import fold_parts
from keras_seqattn.decoding.predictions import Predictions
from keras_seqattn.export import Preprocessing
from keras_seqattn.windows import Standardizer

RNG = np.random.default_rng(0)
BINS = 120
COUNTS = RNG.poisson(1.0, (BINS, 4))
MOVEMENT = np.cumsum(RNG.normal(size=(BINS, 2)), axis=0)
TIMES = np.arange(0, 60, 0.01)
UNITS = [np.sort(RNG.uniform(0, 60, 300)) for _ in range(3)]
BIG = 2**53


def from_spikes(units=UNITS, times=TIMES, movement=TIMES, **options):
    return Recording.from_spike_times(
        units, times, movement, **{"bin_width": 0.05, **options}
    )


def binned(tmp_path, lag=0.0, **arrays):
    np.savez(
        tmp_path / "bins.npz",
        **{"spikes": COUNTS, "movement": MOVEMENT, "bin_width": 0.05, **arrays},
    )
    return load_recording(tmp_path / "bins.npz", lag=lag)


def fitted(decoder):
    return decoder.fit(
        DecodingData(ks.tasks.simulated_reaching(bins=400, units=4), 4)
    )


# Each takes an array of one's own; what it is of the right kind and shape.
DOORS = {
    "spikes": (lambda x: Recording(x, MOVEMENT), COUNTS),
    "movement": (lambda x: Recording(COUNTS, x), MOVEMENT),
    "segment": (lambda x: Recording(COUNTS, MOVEMENT, x), np.ones(BINS, int)),
    "scored": (
        lambda x: Recording(COUNTS, MOVEMENT, scored=x),
        np.ones(BINS, bool),
    ),
    "bin times": (
        lambda x: Recording(COUNTS, MOVEMENT, times=x),
        np.arange(BINS) * 0.05,
    ),
    "trial": (
        lambda x: Recording(COUNTS, MOVEMENT, trial=x),
        np.ones(BINS, int),
    ),
    "train": (lambda x: from_spikes([x]), UNITS[0]),
    "times": (lambda x: from_spikes(times=x), TIMES),
    "trials": (
        lambda x: from_spikes(trials=x),
        np.array([[1.0, 3.0], [5.0, 9.0]]),
    ),
    "true": (lambda x: Score.of(x, MOVEMENT), MOVEMENT),
    "decoded": (lambda x: Score.of(MOVEMENT, x), MOVEMENT),
    "Wiener": (fitted(WienerFilter()).push, COUNTS[0]),
    "Kalman": (fitted(KalmanFilter()).push, COUNTS[0]),
    "stamps": (
        lambda x: SpikeBinner([1], 0.05, 0.0).push(x, [1, 1]),
        np.array([0.1, 0.2]),
    ),
    "mean": (lambda x: Preprocessing(mean=x, scale=np.ones(4)), np.zeros(4)),
}


WRONG = {
    "masked": lambda x: np.ma.array(
        x, mask=np.reshape(np.arange(x.size) == 1, x.shape)
    ),
    "complex": lambda x: x + 1j,
    "text": lambda x: x.astype(str),
    "dates": lambda x: x.astype("int64").astype("M8[s]"),
    "objects": lambda x: np.where(np.zeros(x.shape, bool), None, x),
    "another axis": lambda x: x[None, None],
    "ragged": lambda x: [x.tolist(), [x.tolist()]],
    "None inside": lambda x: [None],
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_arrays_are_taken_as_they_are_or_refused(door, wrong):
    take, right = DOORS[door]
    take(right)
    with pytest.raises(ValueError, match="Received"):
        take(WRONG[wrong](right))


def test_what_is_masked_in_a_behaviour_is_missing():
    movement = np.ma.array(TIMES.copy(), mask=(TIMES > 10) & (TIMES < 20))
    movement.data[1500] = 999.0
    assert from_spikes(movement=movement).movement.max() < 61


def test_a_recording_keeps_its_own_arrays():
    scored, segment = np.ones(BINS, bool), np.arange(BINS) // 60
    recording = Recording(COUNTS, MOVEMENT, segment, scored=scored)
    scored[:], segment[:] = False, 0
    assert np.all(recording.scored) and np.max(recording.segment) == 1


@pytest.mark.parametrize("lag, first", [(0.1, 2), (-0.1, -2)])
def test_a_lag_in_bins_moves_what_goes_with_the_movement(tmp_path, lag, first):
    number = np.arange(BINS)
    scored = number // 20 != 2
    recording = binned(
        tmp_path,
        lag,
        movement=np.where(scored, number, np.nan)[:, None],
        scored=scored,
        trial=number // 30,
        condition=number // 10,
    )
    for place in np.flatnonzero(recording.scored):
        source = place + first
        assert recording.movement[place, 0] == source
        assert recording.trial[place] == source // 30
        assert recording.condition[place] == source // 10
    assert np.sum(recording.scored) == scored.sum() - 2


def test_trials_of_bins_are_those_of_the_movement(tmp_path):
    np.savez(
        tmp_path / "bins.npz",
        spikes=COUNTS,
        movement=MOVEMENT,
        times=np.arange(1, BINS + 1) / 20,
    )
    recording = load_recording(
        tmp_path / "bins.npz", bin_width=0.05, lag=0.1, trials=[[1, 2]]
    )
    times = recording.times[recording.trial == 0] + 0.1
    assert (
        np.round(times, 2).tolist()
        == np.round(np.arange(21, 41) / 20, 2).tolist()
    )


@pytest.mark.parametrize("alignment", ["start", "mean", "end"])
def test_a_trial_begins_with_its_own_movement(alignment):
    movement = np.where(TIMES < 10.02, 1000.0, 1.0)
    movement[TIMES > 12] = 1000.0
    recording = from_spikes(
        movement=movement, alignment=alignment, trials=[[10.02, 12.0]]
    )
    assert set(recording.movement[recording.scored].ravel()) == {1.0}
    assert np.sum(recording.scored) >= 38


@pytest.mark.parametrize("scale", [1e-6, 1e-9, 1e-13])
def test_small_units_are_deployed_as_they_were_trained(scale):
    recording = ks.tasks.simulated_reaching(bins=400, units=5)
    small = dataclasses.replace(
        recording,
        spikes=recording.spikes * scale,
        movement=recording.movement * scale,
    )
    data = DecodingData(small, 4, transform=None)
    decoder = ks.models.build_neural_decoder(4, 5, units=4)
    found = predict_recording(data.deploy(decoder), small)
    windows, _ = data.windows("test")
    expected = data.movement_standardizer.inverse(
        decoder.predict_on_batch(windows)
    )
    place = np.searchsorted(found.bins, data.ends["test"])
    np.testing.assert_allclose(
        found.decoded[place] / scale, expected / scale, rtol=1e-4, atol=1e-4
    )
    assert np.std(found.decoded) > 0.01 * scale


def test_a_standardizer_as_a_layer(tmp_path):
    data = RNG.normal(3.0, [[1e-9, 1.0, 1e6]], (50, 3)).astype("float32")
    standardizer = Standardizer.fit(data)
    inputs = keras.Input((3,))
    layers = [standardizer.layer("to"), standardizer.layer("back", True)]
    model = keras.Model(
        inputs, [layers[0](inputs), layers[1](layers[0](inputs))]
    )
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    standardized, back = model.predict_on_batch(data)
    np.testing.assert_allclose(
        standardized, standardizer.transform(data), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(back, data, rtol=1e-5)
    with pytest.raises(ValueError, match="1 are NaN or infinite"):
        Standardizer.fit(np.array([1.0, np.nan]))


def test_degrees_are_refused_in_bins_too(tmp_path):
    np.savez(
        tmp_path / "bins.npz", spikes=COUNTS, movement=RNG.uniform(0, 360, BINS)
    )
    with pytest.raises(ValueError, match=r"turned by `numpy\.radians`"):
        load_recording(tmp_path / "bins.npz", quantity="direction")


def test_a_name_makes_no_direction():
    reach = Recording(COUNTS, MOVEMENT, quantity="direction of reach (cm)")
    assert not reach.is_direction
    angle = np.stack([np.cos(MOVEMENT[:, 0]), np.sin(MOVEMENT[:, 0])], axis=1)
    assert Recording(COUNTS, angle, quantity="direction").is_direction


def deployed(**changes):
    recording = dataclasses.replace(
        ks.tasks.simulated_reaching(bins=400, units=5), **changes
    )
    decoder = ks.models.build_neural_decoder(4, 5, units=4)
    return recording, DecodingData(recording, 4).deploy(decoder)


def test_another_recording_than_the_decoders():
    recording, model = deployed()
    other = {
        "in bins|negative": {"spikes": recording.spikes - 1},
        "decodes something else": {"quantity": "position (cm)"},
        "of 1 axes, .* of 2": {"movement": recording.movement[:, :1]},
    }
    for words, change in other.items():
        wrong = dataclasses.replace(recording, **change)
        for use in (predict_recording, lambda m, r: calibrate(m, r, 0)):
            with pytest.raises(ValueError, match=words):
                use(model, wrong)
    with pytest.raises(ValueError, match="must be a `Recording`"):
        predict_recording(model, recording.spikes)
    with pytest.raises(ValueError, match="must be a `Recipe`"):
        calibrate(model, recording, recipe=None)


def test_ids_and_labels_never_go_through_a_float(tmp_path):
    ids = np.array([BIG, BIG + 1, 5, 6], np.uint64)
    recording = from_spikes(trials=[[1, 3], [4, 6], [7, 9]], condition=ids[:3])
    assert set(recording.condition.tolist()) == {-1, BIG, BIG + 1, 5}
    cells = np.empty((1, 4), object)
    cells[0, :] = [*UNITS, np.empty(0)]
    scipy.io.savemat(
        tmp_path / "s.mat",
        {
            "c": COUNTS,
            "v": MOVEMENT,
            "i": ids,
            "u": cells,
            "t": TIMES,
            "x": TIMES,
        },
    )
    in_bins = {"spikes": "c", "movement": "v", "bin_width": 0.05}
    in_time = {"spike_times": "u", "times": "t", "movement": "x"}
    for fields in (in_bins, in_time):
        recording = load_recording(
            tmp_path / "s.mat",
            fields={**fields, "unit_ids": "i"},
            bin_width=0.05,
        )
        assert recording.unit_ids == (BIG, BIG + 1, 5, 6)


def test_conditions_are_labels_whatever_holds_them():
    table = pd.DataFrame(
        {"u": COUNTS[:, 0], "x": MOVEMENT[:, 0], "condition": ["a", "b "] * 60}
    )
    recording = load_recording(table, "x", bin_width=0.05)
    found = Predictions(recording, np.arange(BINS), recording.movement)
    assert list(found.score_by("condition")) == ["a", "b"]
    mixed = np.array(["a", 1, None, 0.5] * 30, object)
    assert list(found.score_by(mixed)) == ["", "0.5", "1", "a"]
    contrast = from_spikes(trials=[[1, 3], [4, 6]], condition=[0.25, 1.0])
    assert set(contrast.condition) == {"0.25", "1", ""}


@pytest.mark.parametrize("extra", ["condition", "times", "scored", "trial"])
def test_each_field_of_a_mat_file_is_read(tmp_path, extra):
    values = {
        "condition": np.arange(BINS) // 10,
        "times": np.arange(1, BINS + 1) * 0.05,
        "scored": np.arange(BINS) % 5 > 0,
        "trial": np.arange(BINS) // 20,
    }[extra]
    scipy.io.savemat(
        tmp_path / "s.mat", {"c": COUNTS, "v": MOVEMENT.T[:1], "extra": values}
    )
    fields = {"spikes": "c", "movement": "v", "bin_width": 0.05}
    recording = load_recording(
        tmp_path / "s.mat", fields={**fields, extra: "extra"}
    )
    assert recording.movement.shape == (BINS, 1)
    np.testing.assert_array_equal(getattr(recording, extra), values)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"observed": "v"}, "with 'spikes' there may be"),
        ({"bin_widht": "v"}, "bin_widht"),
        ({"bin_width": "w"}, "must be a finite number"),
        ({"bin_width": 50}, "give 0.05"),
        ({"movement": None}, "`fields.'movement'.` must be the name"),
        ({"spikes": 3}, "must be the name of a variable"),
        ({"scored": "v"}, "a row or a column"),
        ({"scored": "w"}, "must hold true and false"),
    ],
)
def test_bad_fields_of_a_mat_file(tmp_path, fields, message):
    scipy.io.savemat(
        tmp_path / "s.mat", {"c": COUNTS, "v": MOVEMENT, "w": MOVEMENT[:, 0]}
    )
    given = {"spikes": "c", "movement": "v", "bin_width": 0.05, **fields}
    with pytest.raises(ValueError, match=message):
        load_recording(tmp_path / "s.mat", fields=given)


def test_units_that_a_pynapple_file_does_not_name(tmp_path):
    np.savez(
        tmp_path / "units.npz",
        t=[0.1, 0.2, 0.3],
        index=[0, 1, 2],
        keys=[0, 1],
        start=[0.0],
        end=[60.0],
    )
    with pytest.raises(ValueError, match=r"spikes of \[2\]"):
        load_recording(tmp_path / "units.npz", (TIMES, TIMES), bin_width=0.05)


def test_trials_in_another_unit_are_told_and_take_no_memory():
    trials = np.array([[1.0, 3.0], [2e6, 3.5e6]])
    with pytest.warns(UserWarning, match="1 of 2 trials hold no bin"):
        recording = from_spikes(trials=trials)
    assert len(recording.spikes) == 1199


def test_no_fold_cuts_a_trial():
    trial = np.repeat(np.arange(30), 20)
    # Bins of a trial that nobody gave to it.
    trial[RNG.integers(0, 600, 100)] = -1
    recording = Recording(
        np.ones((600, 2)), RNG.normal(size=(600, 1)), trial=trial
    )
    for part in fold_parts(recording, 5):
        for number in range(30):
            assert len(set(part[trial == number])) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"closed": 10**30},
        {"now": 1e9},
        {"start": 1e300},
        {"open": [[1], [2, 3]]},
        {"open": [[2**63, 0]]},
        {"closed": 5, "now": 0.1},
    ],
)
def test_bad_states_of_a_binner(change):
    binner = SpikeBinner([1, 2], 0.05, 0.0)
    before = binner.state_dict()
    with pytest.raises(ValueError, match="Received"):
        binner.load_state_dict({**before, **change})
    assert binner.state_dict() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpikeBinner(["a"], 1e-12),
        lambda: KalmanFilter(lags=5),
        lambda: WienerFilter(penalties=5),
        lambda: WienerFilter(transforms=5),
        lambda: Recording(COUNTS, MOVEMENT, unit_ids="abcd"),
        lambda: Recording(COUNTS, MOVEMENT, unit_ids=5),
        lambda: Recording(COUNTS, MOVEMENT, quantity=None),
        lambda: Recording(COUNTS, MOVEMENT, lag=50),
        lambda: from_spikes({"unit": [], "time": []}),
        lambda: from_spikes(condition="side", trials=[[1, 2]]),
        lambda: Score.of(MOVEMENT, MOVEMENT[:, :1]),
        lambda: Score.of(MOVEMENT[:, :1], MOVEMENT[:, :1], direction=True),
        lambda: DecodingData(None, 4),
        lambda: DecodingData(Recording(COUNTS, MOVEMENT), 2.5),
        lambda: DecodingData(Recording(COUNTS, MOVEMENT), 4, parts="abc"),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ValueError, match="Received"):
        make()
