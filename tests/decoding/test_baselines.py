import copy

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import KalmanFilter
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import WienerCascade
from keras_seqattn.decoding import WienerFilter
from keras_seqattn.decoding.baselines import check_baselines
from keras_seqattn.decoding.baselines import fit_baselines
from keras_seqattn.decoding.estimators import EstimatorDecoder

# NumPy alone.
pytestmark = pytest.mark.plain

TIMESTEPS = 4
RECORDING = ks.tasks.simulated_reaching(
    bins=1500, units=12, kernel_length=2, mean_rate=40.0, segment_bins=100
)
DATA = DecodingData(RECORDING, TIMESTEPS)
PARTS = ("train", "validation", "test")


def windows_of(recording, ends, timesteps):
    """Windows of the square roots of counts, one at a time."""
    roots = np.sqrt(recording.spikes.astype("float64"))
    return np.stack([roots[t + 1 - timesteps : t + 1] for t in ends])


def r2_of(true, decoded):
    true = true.astype("float64")
    rest = np.sum((true - decoded) ** 2)
    return 1 - rest / np.sum((true - true.mean(axis=0)) ** 2)


def pushed(decoder, data, part):
    """A part by `push`: from each run's first bin on, after a reset."""
    segment = data.recording.segment
    held = {t - k for t in data.ends[part] for k in range(data.timesteps)}
    decoded = {}
    for t in sorted(held):
        if t - 1 not in held or segment[t] != segment[t - 1]:
            decoder.reset()
        decoded[t] = decoder.push(data.recording.spikes[t])
    return np.stack([decoded[t] for t in data.ends[part]])


def test_wiener_is_ridge_with_the_penalty_that_validates_best():
    """The rows below the windows hold the penalty, unlike in normal form."""
    found = WienerFilter(transforms=["sqrt"]).fit(DATA, 3)
    x = {p: windows_of(RECORDING, DATA.ends[p], 3) for p in PARTS}
    y = {p: RECORDING.movement[DATA.ends[p]].astype("float64") for p in PARTS}
    scale = DATA.spike_standardizer
    x = {
        p: ((v - scale.mean) / scale.scale).reshape(len(v), -1)
        for p, v in x.items()
    }
    center, offset = x["train"].mean(axis=0), y["train"].mean(axis=0)
    scores = {}
    for penalty in 10.0 ** np.arange(6):
        rows = np.sqrt(penalty) * np.eye(36)
        weights, *_ = np.linalg.lstsq(
            np.concatenate([x["train"] - center, rows]),
            np.concatenate([y["train"] - offset, np.zeros((36, 2))]),
            rcond=None,
        )
        decoded = (x["test"] - center) @ weights + offset
        validated = (x["validation"] - center) @ weights + offset
        scores[penalty] = r2_of(y["validation"], validated), decoded
    best = max(scores, key=lambda penalty: scores[penalty][0])
    assert found.penalty == best
    np.testing.assert_allclose(
        found.predict(DATA), scores[best][1], rtol=1e-6, atol=1e-8
    )
    score = found.score(DATA)
    assert score.r2 == pytest.approx(r2_of(y["test"], scores[best][1]), 1e-5)
    assert found.costs == decoding.Costs(3 * 12 * 2 + 2, 4 * 74, 72)


def test_the_transform_is_chosen_on_validation():
    both, roots, counts = (
        WienerFilter(transforms=transforms).fit(DATA)
        for transforms in (None, ["sqrt"], [None])
    )
    scores = [w.score(DATA, "validation").r2 for w in (both, roots, counts)]
    assert scores[0] == max(scores[1:]) > min(scores[1:])
    linear = LinearRegression()
    plain = WienerFilter([0], [None]).fit(DATA, 2)
    windows = windows_of(RECORDING, DATA.ends["train"], 2) ** 2
    linear.fit(
        windows.reshape(len(windows), -1),
        RECORDING.movement[DATA.ends["train"]],
    )
    windows = windows_of(RECORDING, DATA.ends["test"], 2) ** 2
    np.testing.assert_allclose(
        plain.predict(DATA),
        linear.predict(windows.reshape(len(windows), -1)),
        rtol=1e-3,
        atol=1e-4,
    )


def test_dead_and_equal_units_without_a_penalty():
    spikes = RECORDING.spikes.copy()
    spikes[:, 3], spikes[:, 5] = 2, spikes[:, 4]
    recording = Recording(spikes, RECORDING.movement, RECORDING.segment)
    data = DecodingData(recording, 2)
    for decoder in (
        WienerFilter([0]),
        WienerCascade(penalties=[0]),
        KalmanFilter(),
    ):
        decoder.fit(data)
        assert decoder.score(data).r2 > 0.5
        # A dead unit that wakes up says nothing.
        asleep, awake = spikes[0].copy(), spikes[0].copy()
        awake[3] = 50
        found = []
        for counts in (asleep, awake):
            decoder.reset()
            found.append(decoder.push(counts))
        np.testing.assert_allclose(*found, atol=1e-6)


def test_cascade_finds_a_cubic():
    rng = np.random.default_rng(0)
    spikes = rng.normal(size=(3000, 5))
    drive = spikes @ rng.normal(size=(5, 2))
    recording = Recording(spikes, drive**3)
    data = DecodingData(recording, 2, transform=None)
    linear, cascade = WienerFilter().fit(data), WienerCascade().fit(data)
    # Of w^3, with w normal, a line explains 9 / 15.
    assert linear.score(data).r2 == pytest.approx(0.6, abs=0.07)
    assert cascade.score(data).r2 > 0.95
    # The polynomial is the one that NumPy fits to the linear outputs.
    ends = data.ends["train"]
    outputs, true = linear.predict(data, "train"), recording.movement[ends]
    inside = linear.predict(data).clip(outputs.min(0), outputs.max(0))
    for axis in (0, 1):
        cubic = np.polyfit(outputs[:, axis], true[:, axis].astype(float), 3)
        np.testing.assert_allclose(
            cascade.predict(data)[:, axis],
            np.polyval(cubic, inside[:, axis]),
            rtol=1e-6,
            atol=1e-6,
        )
    assert cascade.costs == decoding.Costs(22 + 8, 120, 20 + 6)


def test_cascade_stays_at_the_ends_of_what_it_has_seen():
    cascade = WienerCascade().fit(DATA)
    far, further = 1000 * RECORDING.spikes[:1], 4000 * RECORDING.spikes[:1]
    found = []
    for counts in (far, further):
        cascade.reset()
        found.append(cascade.push(counts[0]))
    np.testing.assert_allclose(*found)
    assert np.abs(found[0]).max() < 3 * np.abs(RECORDING.movement).max()


ALL = {
    "Wiener filter": lambda: WienerFilter(),
    "Wiener cascade": lambda: WienerCascade(),
    "Kalman filter": lambda: KalmanFilter(),
    "Kalman filter, lag 2": lambda: KalmanFilter([2]),
    "Ridge": lambda: EstimatorDecoder(Ridge()),
    "trees": lambda: EstimatorDecoder(
        HistGradientBoostingRegressor(max_iter=5)
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_push_is_predict(name):
    decoder = ALL[name]().fit(DATA)
    for part in ("validation", "test"):
        np.testing.assert_allclose(
            pushed(decoder, DATA, part),
            decoder.predict(DATA, part),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("name", ALL)
def test_a_reset_forgets_and_a_missing_bin_does_not_hurt(name):
    decoder = ALL[name]().fit(DATA)
    counts = RECORDING.spikes[1200:1212]
    decoder.reset()
    first = [decoder.push(x) for x in counts]
    goes_on = [decoder.push(x) for x in counts]
    decoder.reset()
    again = [decoder.push(x) for x in counts]
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.subtract(first[0], goes_on[0])).max() > 1e-6
    decoder.reset()
    missed = [decoder.push(None if t == 6 else x) for t, x in enumerate(counts)]
    np.testing.assert_array_equal(missed[:6], first[:6])
    assert np.abs(np.subtract(missed, first)).max() > 1e-6
    assert np.isfinite(missed).all()


def test_what_stands_in_for_a_missing_bin():
    mean = DATA.spike_standardizer.mean
    wiener = WienerFilter(transforms=["sqrt"]).fit(DATA)
    wiener.reset()
    after = [wiener.push(x) for x in (*RECORDING.spikes[:2], None)][-1]
    wiener.reset()
    expected = [wiener.push(x) for x in (*RECORDING.spikes[:2], mean**2)][-1]
    np.testing.assert_allclose(after, expected)
    kalman = KalmanFilter([0]).fit(DATA)
    kalman.reset()
    velocity = kalman.push(RECORDING.spikes[0])
    state = kalman._state.copy()
    missing = kalman.push(None)
    moved = kalman.model.transition @ state
    np.testing.assert_allclose(
        missing, (moved * kalman.spread + kalman.center)[2:4]
    )
    assert np.abs(missing - velocity).max() > 0


def test_seams_restart():
    """Other counts in a segment before change nothing in the next ones."""
    changed = RECORDING.spikes.copy()
    changed[1200:1300] = changed[1200:1300][::-1]
    other = copy.copy(DATA)
    other.recording = Recording(changed, RECORDING.movement, RECORDING.segment)
    late = DATA.ends["test"] >= 1300
    for make in ALL.values():
        decoder = make().fit(DATA)
        one, two = decoder.predict(DATA), decoder.predict(other)
        np.testing.assert_array_equal(one[late], two[late])
        assert np.abs(one[~late] - two[~late]).max() > 0.01


def test_boosted_trees_as_ones_own():
    settings = {"max_iter": 20, "early_stopping": False, "random_state": 0}
    given = HistGradientBoostingRegressor(**settings)
    by_hand = MultiOutputRegressor(HistGradientBoostingRegressor(**settings))
    decoders = check_baselines({"trees": given, "wrapped": by_hand})
    assert [*decoders] == [
        *("Wiener filter", "Wiener cascade", "Kalman filter"),
        *("trees", "wrapped"),
    ]
    fitted = fit_baselines(decoders, DATA, [TIMESTEPS, 2])
    assert [*fitted] == [
        *(("Wiener filter", 4), ("Wiener filter", 2)),
        *(("Wiener cascade", 4), ("Wiener cascade", 2)),
        ("Kalman filter", 1),
        *(("trees", 4), ("trees", 2), ("wrapped", 4), ("wrapped", 2)),
    ]
    np.testing.assert_array_equal(
        fitted["trees", 2].predict(DATA), fitted["wrapped", 2].predict(DATA)
    )
    x, y = DATA.windows("train", 2)
    by_hand.fit(x.reshape(len(x), -1), y)
    x, _ = DATA.windows("test", 2)
    expected = by_hand.predict(x.reshape(len(x), -1))
    found = fitted["trees", 2].score(DATA).r2
    assert found == pytest.approx(DATA.score("test", expected).r2, abs=0.02)
    assert fitted["trees", 2].costs is None
    # What is given stays as it is.
    assert not hasattr(given, "n_iter_")


def test_an_estimator_of_one_axis():
    recording = Recording(
        RECORDING.spikes, RECORDING.movement[:, :1], RECORDING.segment
    )
    data = DecodingData(recording, 2)
    for estimator in (Ridge(), HistGradientBoostingRegressor(max_iter=20)):
        decoder = EstimatorDecoder(estimator).fit(data)
        assert decoder.predict(data).shape == (len(data.ends["test"]), 1)
        assert decoder.score(data).r2 > 0.5
    assert KalmanFilter().fit(data).score(data).r2 > 0.5


def test_recording_that_stands_still_on_one_axis():
    movement = RECORDING.movement.copy()
    movement[:, 1] = 3
    recording = Recording(RECORDING.spikes, movement, RECORDING.segment)
    with pytest.warns(UserWarning, match=r"Axis \[1\] of `movement` does not"):
        data = DecodingData(recording, 2)
    for decoder in (WienerFilter(), WienerCascade(), KalmanFilter()):
        decoded = decoder.fit(data).predict(data)
        np.testing.assert_allclose(decoded[:, 1], 3, atol=1e-6)
        assert decoder.score(data).r2_per_axis[0] > 0.5


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: WienerFilter([]), "`penalties` must hold at least one"),
        (lambda: WienerFilter([-1.0]), "`penalties` must be a finite number"),
        (lambda: WienerFilter(transforms=[]), "at least one of 'sqrt' and"),
        (lambda: WienerFilter(transforms="sqrt"), "must be a list"),
        (lambda: WienerFilter(transforms=["log"]), "`transforms` must be one"),
        (lambda: WienerCascade(0), "`degree` must be a positive integer"),
        (lambda: KalmanFilter([]), "`lags` must hold at least one integer"),
        (lambda: KalmanFilter([-1]), "`lags` must be an integer that is not"),
        (lambda: KalmanFilter(noise_scale=0), "`noise_scale` must be a finite"),
        (
            lambda: KalmanFilter(position=np.zeros((3, 2))).fit(DATA),
            "one row for each of the recording's 1500 bins",
        ),
        (
            lambda: KalmanFilter(position=np.full((1500, 2), np.nan)).fit(DATA),
            "`position` must be finite",
        ),
        (
            lambda: KalmanFilter([200]).fit(DATA),
            "must be longer than the lag. Received: a lag of 200 bins, segme",
        ),
        (lambda: WienerFilter().fit(DATA, 5), "in 1 .. 4, the longest window"),
        (lambda: WienerFilter().fit(DATA, 0), "must be a positive integer"),
        (lambda: WienerFilter().predict(DATA), "`WienerFilter` must be fitted"),
        (lambda: KalmanFilter().push(None), "`KalmanFilter` must be fitted"),
        (lambda: check_baselines([Ridge()]), "must be a dictionary from names"),
        (lambda: check_baselines({"a": Ridge}), "hold objects with `fit"),
        (lambda: check_baselines({"a": 1}), "Received: 'a': 1"),
        (lambda: check_baselines({1: Ridge()}), "Received: 1"),
        (
            lambda: check_baselines({"training mean": Ridge()}),
            "other than 'training mean'",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ALL)
def test_bad_counts(name):
    decoder = ALL[name]().fit(DATA)
    with pytest.raises(ValueError, match=r"each of 12 units.*shape=\(11,\)"):
        decoder.push(np.zeros(11))
    with pytest.raises(ValueError, match="NaN or infinity in unit 2"):
        decoder.push([0, 0, np.nan, *[0] * 9])
    other = DecodingData(
        Recording(RECORDING.spikes[:, :5], RECORDING.movement), 4
    )
    with pytest.raises(ValueError, match=r"the 12 units .* Received: 5 units"):
        decoder.predict(other)


def test_rates_that_are_negative():
    recording = Recording(RECORDING.spikes - 1, RECORDING.movement)
    data = DecodingData(recording, 2, transform=None)
    with pytest.raises(ValueError, match=r"must be \[None\] for rates"):
        WienerFilter(transforms=["sqrt"]).fit(data)
    assert WienerFilter().fit(data).scale.transform is None
    roots = WienerFilter(transforms=["sqrt"]).fit(DATA)
    with pytest.raises(ValueError, match="`counts` must not be negative"):
        roots.push([-1.0] * 12)


def test_an_estimator_that_gives_another_number_of_axes():
    class Three:
        def fit(self, x, y):
            pass

        def predict(self, x):
            return np.zeros((len(x), 3))

    with pytest.raises(ValueError, match="'three' must give 2 values a win"):
        EstimatorDecoder(Three(), "three").fit(DATA).predict(DATA)
