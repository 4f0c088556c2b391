import re
import warnings

import numpy as np
import pandas as pd
import pytest

from keras_seqattn.decoding import Recording
from keras_seqattn.windows.behavior import Behavior
from keras_seqattn.windows.binning import bins_of_runs
from keras_seqattn.windows.binning import count_spikes

WIDTH = 0.05
TIMES = np.arange(0, 2001) / 100  # 100 Hz, 20 s
POSITION = np.stack([np.sin(TIMES), np.cos(2 * TIMES)], axis=1)


def spikes_in_ms(seed=0, units=4, last=20_000):
    """Spike times as whole milliseconds, many of them on edges."""
    rng = np.random.default_rng(seed)
    every = [np.sort(rng.integers(0, last, 900)) for _ in range(units)]
    every[2] = every[2][:0]  # A silent unit.
    every[3] = every[3] // 50 * 50  # On edges alone.
    return every


def bin_it(units=None, times=TIMES, movement=POSITION, **options):
    units = [ms / 1000 for ms in spikes_in_ms()] if units is None else units
    return Recording.from_spike_times(
        units, times, movement, **{"bin_width": WIDTH, **options}
    )


@pytest.mark.parametrize("width_ms", [1, 10, 20, 50, 64, 100])
@pytest.mark.parametrize("offset_ms", [0, 7, 86_400_000])
def test_counts_are_those_of_whole_milliseconds(width_ms, offset_ms):
    """Counted by integers, where no edge can be missed."""
    runs_ms = np.array([[0, 9_000], [10_007, 19_999]]) + offset_ms
    starts, stops, run = bins_of_runs(runs_ms / 1000, width_ms / 1000)
    spikes = [ms + offset_ms for ms in spikes_in_ms()]
    found = count_spikes([ms / 1000 for ms in spikes], starts, stops)
    expected, number = [], []
    for k, (first, last) in enumerate(runs_ms.tolist()):
        for start in range(first, last - width_ms + 1, width_ms):
            expected.append(
                [
                    sum(start <= t < start + width_ms for t in ms.tolist())
                    for ms in spikes
                ]
                if width_ms > 10 or start % 50 == 0
                else None
            )
            number.append(k)
    assert len(expected) == len(found) == len(starts)
    np.testing.assert_array_equal(run, number)
    for row, wanted in zip(found.tolist(), expected, strict=True):
        assert wanted is None or row == wanted
    whole = (ms[(ms >= a) & (ms < b)] for ms in spikes for a, b in [runs_ms[0]])
    if 9_000 % width_ms == 0:
        np.testing.assert_array_equal(
            found[run == 0].sum(axis=0), [len(ms) for ms in whole]
        )


def test_counts_movement_and_times_of_a_session():
    spikes = spikes_in_ms()
    found = bin_it()
    ends_ms = np.arange(50, 20_001, 50)
    np.testing.assert_allclose(found.times, ends_ms / 1000, rtol=1e-12)
    for unit, ms in enumerate(spikes):
        expected = [np.sum((ms >= e - 50) & (ms < e)) for e in ends_ms]
        np.testing.assert_array_equal(found.spikes[:, unit], expected)
    np.testing.assert_allclose(found.movement, POSITION[5::5], atol=1e-6)
    assert found.unit_ids == (0, 1, 2, 3)
    assert (found.bin_width, found.lag, found.quantity) == (0.05, 0, "movement")
    assert found.scored.all() and found.trial is None


@pytest.mark.parametrize("lag", [0.2, -0.2, 0.013])
def test_a_lag_moves_the_movement_and_not_the_bins(lag):
    found, without = bin_it(lag=lag), bin_it()
    kept = np.isin(without.times, found.times)
    assert kept.sum() == len(found.times) >= 395
    np.testing.assert_array_equal(found.spikes, without.spikes[kept])
    at = found.times + lag
    exact = np.stack([np.sin(at), np.cos(2 * at)], axis=1)
    np.testing.assert_allclose(found.movement, exact, atol=1e-4)
    assert at.min() > -1e-9 and at.max() < 20.0001 and found.lag == lag


def test_alignments():
    start, mean = bin_it(alignment="start"), bin_it(alignment="mean")
    np.testing.assert_allclose(start.movement, POSITION[:-5:5], atol=1e-6)
    np.testing.assert_allclose(
        mean.movement, POSITION[:-1].reshape(-1, 5, 2).mean(axis=1), atol=1e-6
    )
    # Slower than the bins: between two samples.
    slow = bin_it(times=TIMES[::20], movement=POSITION[::20], alignment="mean")
    middle = slow.times - WIDTH / 2
    exact = np.interp(middle, TIMES[::20], POSITION[::20, 0])
    np.testing.assert_allclose(slow.movement[:, 0], exact, atol=1e-6)


@pytest.mark.parametrize("look_ahead", [False, True])
def test_derivatives(look_ahead):
    """Exact for the polynomial that is fitted, at uneven times too."""
    rng = np.random.default_rng(1)
    times = TIMES + rng.uniform(0, 0.002, len(TIMES))
    square = np.stack([times**2, 3 - times], axis=1)
    options = {"times": times, "movement": square, "look_ahead": look_ahead}
    found = bin_it(quantity="velocity", smoothing=0.2, **options)
    exact = np.stack([2 * found.times, -np.ones(len(found.times))], axis=1)
    np.testing.assert_allclose(found.movement, exact, atol=1e-4)
    found = bin_it(quantity="acceleration", smoothing=0.2, **options)
    exact = np.tile([2.0, 0.0], (len(found.times), 1))
    np.testing.assert_allclose(found.movement, exact, atol=1e-3)


def test_a_derivative_does_not_look_ahead_unless_asked():
    changed = POSITION.copy()
    changed[TIMES > 10.001] += 5.0
    for look_ahead in (False, True):
        options = {"quantity": "velocity", "look_ahead": look_ahead}
        one = bin_it(**options)
        other = bin_it(movement=changed, **options)
        before = one.times <= 10.0
        same = np.array_equal(one.movement[before], other.movement[before])
        assert same == (not look_ahead)
        assert not np.array_equal(one.movement, other.movement)


def test_gaps_and_nan_are_seams():
    times = np.delete(TIMES, np.arange(500, 700))  # 5.00 .. 6.99 s
    movement = np.delete(POSITION, np.arange(500, 700), axis=0)
    movement[1000, 1] = np.nan  # at 12.00 s
    found = bin_it(times=times, movement=movement)
    edges = np.flatnonzero(np.diff(found.segment)) + 1
    np.testing.assert_allclose(found.times[edges - 1], [4.95, 11.95])
    np.testing.assert_allclose(found.times[edges], [7.05, 12.06])
    # Bins begin anew after a seam: all hold movement to the digit.
    exact = np.sin(found.times)
    np.testing.assert_allclose(found.movement[:, 0], exact, atol=1e-5)
    # One lost sample may be bridged.
    bridged = bin_it(times=times, movement=movement, max_gap=0.03)
    assert len(np.unique(bridged.segment)) == 2


def test_bins_between_trials_give_context_and_are_not_scored():
    trials = np.array([[2.0, 4.0], [4.5, 7.0], [10.02, 12.0]])
    inside = [(TIMES >= a) & (TIMES <= b) for a, b in trials]
    known = np.any(inside, axis=0)
    found = bin_it(
        times=TIMES[known],
        movement=POSITION[known],
        trials=trials,
        condition=["left", "right", "left "],
    )
    assert len(np.unique(found.segment)) == 1
    np.testing.assert_array_equal(np.diff(found.times).round(9), WIDTH)
    number = np.full(len(found.times), -1)
    for k, (start, stop) in enumerate(trials):
        at = found.times
        number[(at > start + 1e-9) & (at <= stop + 1e-9)] = k
    np.testing.assert_array_equal(found.trial, number)
    np.testing.assert_array_equal(found.scored, number >= 0)
    np.testing.assert_array_equal(
        np.unique(found.condition[found.scored]), ["left", "right"]
    )
    np.testing.assert_allclose(
        found.movement[found.scored, 0],
        np.sin(found.times[found.scored]),
        atol=1e-4,
    )
    every = bin_it()
    whole = np.isin(every.times.round(6), found.times.round(6))
    np.testing.assert_array_equal(found.spikes, every.spikes[whole])


def test_many_gaps_are_not_bridged():
    """Trials of 15 samples, cut out; and holes of 30 samples in every 42."""
    trial = np.repeat(np.arange(40), 15)
    times = 0.5 * trial + 0.02 * np.tile(np.arange(15), 40)
    found = bin_it(times=times, movement=trial.astype(float))
    assert len(np.unique(found.segment)) == 40
    assert (found.movement == np.rint(found.movement)).all()
    holes = np.where(np.arange(2001) % 42 < 12, np.sin(TIMES), np.nan)
    found = bin_it(movement=holes)
    assert len(np.unique(found.segment)) == 48
    np.testing.assert_allclose(
        found.movement[:, 0], np.sin(found.times), atol=1e-4
    )


def test_conditions_by_the_name_of_their_column():
    table = pd.DataFrame(
        {"start": [1.0, 4.0], "stop": [2.0, 6.0], "side": ["left", None]}
    )
    found = bin_it(trials=table, condition="side")
    expected = np.where(found.trial == 0, "left", "")
    np.testing.assert_array_equal(found.condition, expected)


def test_spikes_that_were_cut_to_trials_give_no_context():
    trials = np.array([[2.0, 4.0], [6.0, 8.0]])
    units = [
        np.concatenate([t[(t >= a) & (t < b)] for a, b in trials])
        for t in (ms / 1000 for ms in spikes_in_ms())
    ]
    with pytest.warns(UserWarning, match="recorded within trials alone"):
        found = bin_it(units, trials=trials)
    assert len(np.unique(found.segment)) == 2 and found.scored.all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = bin_it(units, trials=trials, observed=[[0, 20]])
    assert len(whole.spikes) == 400 and whole.scored.sum() == 80


def test_observed_stretches_are_segments():
    known = TIMES <= 15
    found = bin_it(
        times=TIMES[known], movement=POSITION[known], observed=[[1, 4], [6, 19]]
    )
    np.testing.assert_array_equal(
        np.unique(found.segment, return_counts=True), [[0, 1], [60, 260]]
    )
    # Where the movement ended, spikes go on.
    assert found.scored.sum() == 60 + 180


def test_directions_pass_the_turn():
    angle = (3 * TIMES + 1) % (2 * np.pi)
    found = bin_it(movement=angle, quantity="direction")
    exact = 3 * found.times + 1
    expected = np.stack([np.cos(exact), np.sin(exact)], axis=1)
    np.testing.assert_allclose(found.movement, expected, atol=1e-5)
    assert found.is_direction
    between = bin_it(movement=angle, quantity="direction", lag=0.005)
    norm = np.linalg.norm(between.movement, axis=1)
    np.testing.assert_allclose(norm, 1, atol=1e-6)
    with pytest.raises(ValueError, match="degrees are turned by"):
        bin_it(movement=np.degrees(angle), quantity="direction")


def long_table(units):
    unit = np.concatenate([[k] * len(t) for k, t in units.items()])
    time = np.concatenate(list(units.values()))
    order = np.random.default_rng(2).permutation(len(time))
    return {"unit": unit[order], "time": time[order]}


class Train:
    """A pynapple `Ts`, as far as it is used."""

    def __init__(self, t):
        self.t = t


def test_every_form_of_spike_times_gives_the_same_counts():
    units = {
        unit: ms / 1000
        for unit, ms in zip((7, 3, 12, 5), spikes_in_ms(), strict=True)
    }
    expected = bin_it(list(units.values()), unit_ids=list(units))
    assert expected.unit_ids == (7, 3, 12, 5)
    by_id = [list(units).index(unit) for unit in (3, 5, 7)]
    table = long_table(units)
    forms = {
        "mapping": (units, slice(None)),
        "trains": ({k: Train(t) for k, t in units.items()}, slice(None)),
        "frame": (pd.DataFrame(table), by_id),  # Sorted, silent ones unknown.
        "table": (table, by_id),
    }
    for form, order in forms.values():
        found = bin_it(form)
        np.testing.assert_array_equal(found.spikes, expected.spikes[:, order])
    wanted = bin_it(pd.DataFrame(table), unit_ids=list(units))
    np.testing.assert_array_equal(wanted.spikes, expected.spikes)
    assert wanted.unit_ids == expected.unit_ids
    some = bin_it(units, unit_ids=[12, 7])
    np.testing.assert_array_equal(some.spikes, expected.spikes[:, [2, 0]])
    text = bin_it({f"unit {k}": t for k, t in units.items()})
    assert text.unit_ids == ("unit 7", "unit 3", "unit 12", "unit 5")


def test_ids_never_go_through_a_float():
    large = {2**53: [0.6, 1.0], 2**53 + 1: [2.0, 2.4]}
    short = {"times": TIMES[50:250], "movement": POSITION[50:250]}
    assert bin_it(large, **short).unit_ids == (2**53, 2**53 + 1)
    with pytest.raises(ValueError, match="small enough to be exact"):
        bin_it({2.0**53: [0.6, 1.0]}, **short)
    table = {"unit": np.array([2**53 + 1, 2**53]), "time": np.array([0.6, 2.4])}
    assert bin_it(table, **short).unit_ids == (2**53, 2**53 + 1)


NAN_SPIKES = [[1.0, np.nan, 2.0], [3.0]]
BACK = np.concatenate([TIMES[:50], TIMES[49:-1]])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": []}, "must hold a unit"),
        ({"units": [[], []]}, "2 units, all of them silent"),
        ({"units": [1.0, 2.0]}, r"one array of seconds a unit: \[times\]"),
        ({"units": NAN_SPIKES}, "unit 0 must be finite.*1 of 3, the first at"),
        ({"units": [["a"]]}, "unit 0` must hold numbers"),
        ({"units": [[100.0]]}, "No spike lies in a bin.*seconds of one clock"),
        ({"units": {1.5: [1.0]}}, "a float must be whole, .*Received: 1.5"),
        ({"units": {1: [1.0], "1": [2.0]}}, "name each unit once"),
        ({"units": [[1.0]], "unit_ids": [1, 2]}, "2 ids for 1 units"),
        ({"units": {1: [1.0]}, "unit_ids": [2]}, "must name units of"),
        ({"units": pd.DataFrame({"a": [1]})}, "columns 'unit' and 'time'"),
        ({"bin_width": 50}, "must be in seconds, at most 1.*give 0.05"),
        ({"bin_width": 0}, "`bin_width` must be a finite number above 0"),
        ({"quantity": "speed"}, "`quantity` must be one of"),
        ({"alignment": "middle"}, "`alignment` must be one of"),
        ({"lag": np.nan}, "`lag` must be a finite number"),
        ({"lag": None}, "`lag` must be a finite number"),
        (
            {"units": [np.ma.masked_less([1.0, 9.0], 5)]},
            "unit 0` must not be m",
        ),
        ({"times": np.ma.masked_less(TIMES, 5)}, "`times` must not be masked"),
        (
            {"observed": [[0, 1e9]], "bin_width": 0.001},
            "Are all times in seconds",
        ),
        ({"lag": 200}, "at most 5 either way"),
        ({"lag": 50.0}, "if these are milliseconds, give 0.05"),
        ({"times": TIMES[:-1]}, "one row a sample"),
        ({"times": BACK}, "1 that do not, the first is sample 50"),
        ({"times": TIMES[::-1]}, "must rise from sample to sample"),
        ({"times": np.full(2001, np.nan)}, "NaN or infinity in 2001 of 2001"),
        ({"movement": POSITION * np.nan}, "two samples that are not NaN"),
        ({"movement": POSITION.astype(str)}, "`movement` must hold numbers"),
        ({"trials": [[3, 2]]}, r"stop after its start. Received: \[3.0, 2.0\]"),
        ({"trials": [[1, 3], [2, 4]]}, "row 1 starts at 2 s, the one before"),
        ({"trials": [1, 2]}, "of rank 2, .n, start and stop"),
        ({"trials": [[30, 40]]}, "No bin of 0.05 s holds movement"),
        ({"condition": ["a"]}, "one label for each of `trials`"),
        (
            {"condition": "side", "trials": [[1, 2]]},
            "or name a column of them. Received: condition='side' for trials",
        ),
        (
            {"quantity": "velocity", "alignment": "mean"},
            "means nothing to a derivative",
        ),
    ],
)
def test_bad_sessions(arguments, message):
    with pytest.raises(ValueError, match=message):
        bin_it(**arguments)


def test_behavior_that_outlasts_the_spikes_is_told():
    with pytest.warns(UserWarning, match="50% of the bins are before the fir"):
        bin_it([np.arange(0, 10, 0.01)])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"units": [np.arange(0, 20_000, 7.0), [3.0, 19.9]]},
            "Of 2860 spikes 5 are in bins. Are spike times and `times` in the",
        ),
        (
            {
                "units": [ms for ms in spikes_in_ms() if len(ms)],
                "times": 1000 * TIMES,
                "bin_width": 0.5,
            },
            "comes every 10 s, a bin every 0.5 s. Are all times in seconds",
        ),
        (
            {"trials": [[1, 2], [3, 4], [30, 31]]},
            "1 of 3 trials hold no bin whose movement is known",
        ),
        (
            {
                "max_gap": 0.015,
                "movement": np.where(np.arange(2001) % 9, TIMES, np.nan),
            },
            "6.% of the movement is in bins: .* 223 runs.* A larger `max",
        ),
    ],
)
def test_what_is_lost_is_told(arguments, message):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        bin_it(**arguments)
    assert any(re.search(message, str(warning.message)) for warning in told)


def test_uneven_samples_and_masked_ones():
    """Jitter is no gap; what a mask hides is missing."""
    rng = np.random.default_rng(0)
    times = TIMES + rng.uniform(0, 0.009, len(TIMES))
    found = bin_it(times=times, movement=np.sin(times))
    assert len(np.unique(found.segment)) == 1 and len(found.spikes) >= 399
    exact = np.sin(found.times)
    np.testing.assert_allclose(found.movement[:, 0], exact, atol=1e-4)
    hidden = np.ma.array(POSITION, mask=TIMES[:, None] * [1, 1] > 15)
    hidden[500:520] = np.ma.masked
    missing = np.where(np.ma.getmaskarray(hidden), np.nan, POSITION)
    one, other = bin_it(movement=hidden), bin_it(movement=missing)
    np.testing.assert_array_equal(one.movement, other.movement)
    assert len(one.spikes) < 300


def test_a_long_session_takes_memory_by_its_length():
    """50 minutes at 16 ms: the counts and little more."""
    import tracemalloc

    rng = np.random.default_rng(0)
    times = np.arange(0, 3000, 0.01)
    movement = np.cumsum(rng.normal(size=(len(times), 2)), axis=0)
    units = [np.sort(rng.uniform(0, 3000, 3000)) for _ in range(10)]
    peaks = []
    for last in (75_000, 300_000):
        tracemalloc.start()
        bin_it(
            [t[t < last / 100] for t in units],
            times[:last],
            movement[:last],
            bin_width=0.016,
            quantity="velocity",
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 4.5 * peaks[0]


def test_runs_of_a_behavior():
    times = np.concatenate([np.arange(0, 1, 0.01), np.arange(5, 6, 0.01)])
    found = Behavior(times, np.arange(200.0))
    np.testing.assert_allclose(found.runs, [[0, 0.99], [5, 5.99]])
    at = found.at(np.array([-0.1, 0.005, 0.99, 3.0, 5.985]))
    np.testing.assert_allclose(at[:, 0], [np.nan, 0.5, 99, np.nan, 198.5])
