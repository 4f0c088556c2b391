import json
import threading

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.decoding import SpikeBinner

pytestmark = pytest.mark.plain

UNITS = ("a", 7, "8", "c")


def packets_of(rng, events):
    """Cut a list of events into packets of random sizes, some empty."""
    cuts = np.sort(rng.integers(0, len(events) + 1, size=len(events) // 5))
    return np.split(events, cuts)


def feed(binner, events):
    """Push events of (microseconds, column)."""
    times = events[:, 0] / 1e6
    return binner.push(times, [UNITS[column] for column in events[:, 1]])


@pytest.mark.parametrize("seed", range(12))
def test_random_spikes_in_random_packets(seed):
    """Counted in whole microseconds, where an edge is an edge."""
    rng = np.random.default_rng(seed)
    width = int(rng.choice([1_000, 20_000, 50_000, 64_000, 333_333]))
    start = int(rng.choice([0, 3, -250_000, 1_700_000_000_000_000]))
    late_by = int(rng.integers(0, 4)) * width // 2
    bins, count = 50, 700
    when = rng.integers(0, bins * width, size=count)
    when[::3] -= when[::3] % width  # Many lie on an edge.
    events = np.stack([start + when, rng.integers(0, 4, count)], axis=1)
    # They arrive out of order, none later than the patience.
    arrival = events[:, 0] + rng.integers(0, late_by + 1, count)
    events = events[np.argsort(arrival, kind="stable")]

    binner = SpikeBinner(
        UNITS, width / 1e6, start / 1e6, late_by / 1e6, max_gap=60, max_late=60
    )
    found = []
    for packet in packets_of(rng, events):
        found += feed(binner, packet)
        if rng.random() < 0.2:
            binner = restored(binner, late_by)
    found += binner.advance((start + bins * width + late_by) / 1e6)

    expected = np.zeros((bins, 4), int)
    for time, column in events.tolist():
        expected[(time - start) // width, column] += 1
    assert binner.late == binner.ignored == 0
    np.testing.assert_array_equal([x.counts for x in found], expected)
    ends = (start + width * np.arange(1, bins + 1)) / 1e6
    np.testing.assert_allclose([x.end_time for x in found], ends, rtol=1e-14)


def restored(binner, late_by):
    """Another one that goes on from a file."""
    state = json.loads(json.dumps(binner.state_dict()))
    other = SpikeBinner(
        UNITS,
        binner.bin_width,
        patience=late_by / 1e6,
        max_gap=60,
        max_late=60,
    )
    other.load_state_dict(state)
    return other


@pytest.mark.parametrize("width", [0.05, 0.064, 0.1])
def test_the_same_bins_as_from_a_file(width):
    """What is decoded live is what was trained on, on edges too."""
    rng = np.random.default_rng(3)
    trains = [
        np.sort(
            np.concatenate(
                [
                    rng.uniform(10, 20, 150),
                    10 + width * rng.integers(0, 60, 40),
                    np.round(10 + width * rng.integers(0, 60, 40), 3),
                ]
            )
        )
        for _ in UNITS
    ]
    t = np.arange(10, 20, 0.01)
    recording = ks.decoding.Recording.from_spike_times(
        dict(zip(UNITS, trains, strict=True)),
        *(t, np.sin(t)),
        bin_width=width,
    )
    assert recording.spikes.sum() > 800
    times = np.concatenate(trains)
    units = np.repeat(np.array(UNITS, object), [len(x) for x in trains])
    order = np.argsort(times, kind="stable")
    binner = SpikeBinner(recording.unit_ids, width, recording.times[0] - width)
    found = []
    for part in np.array_split(order, 90):
        found += binner.push(times[part], units[part])
    found = found[: len(recording.spikes)]
    np.testing.assert_array_equal(
        [x.counts for x in found], recording.spikes[: len(found)]
    )
    np.testing.assert_allclose(
        [x.end_time for x in found], recording.times[: len(found)], rtol=1e-12
    )
    assert len(found) >= len(recording.spikes) - 1


def test_without_patience_late_spikes_are_counted():
    rng = np.random.default_rng(0)
    width = 50_000
    events = np.stack(
        [rng.integers(0, 40 * width, 500), rng.integers(0, 4, 500)], axis=1
    )
    events = events[np.argsort(events[:, 0] + rng.integers(0, 90_000, 500))]
    binner = SpikeBinner(UNITS, 0.05, start=0.0)
    found, clock, late = [], -1, 0
    expected = np.zeros((40, 4), int)
    for packet in packets_of(rng, events):
        for time, column in packet.tolist():
            # Late: a packet before this one has ended its bin.
            if time // width < clock // width:
                late += 1
            else:
                expected[time // width, column] += 1
        clock = max([clock, *packet[:, 0]])
        found += feed(binner, packet)
    found += binner.advance(2.0)
    assert late > 20 and binner.late == late
    np.testing.assert_array_equal([x.counts for x in found], expected)


@pytest.mark.parametrize("width", [0.05, 0.064, 0.1, 0.0333, 1 / 3])
@pytest.mark.parametrize("start", [0.0, 0.3, -0.7, 86400.1, 1.7e9])
def test_a_spike_on_an_edge_begins_a_bin(width, start):
    for k in range(1, 400):
        edges = {start + k * width, start + (k - 1) * width + width}
        if (start, width) == (0.0, 0.05):
            edges.add(round(k * width, 2))  # 0.15 < 3 * 0.05
        for edge in edges:
            binner = SpikeBinner(["a"], width, start, max_gap=1000)
            found = binner.push([edge], ["a"])
            assert [int(x.counts[0]) for x in found] == [0] * k
            # And the clock, on an edge, ends a bin.
            assert len(binner.advance(edge + width)) == 1


def test_just_before_an_edge():
    binner = SpikeBinner(["a"], 0.05, start=0.0)
    assert binner.push([0.15 - 1e-9], ["a"])[-1].end_time == pytest.approx(0.1)
    ((end, counts),) = binner.push([0.15], ["a"])
    assert end == pytest.approx(0.15) and counts.tolist() == [1]


def test_the_first_bin_begins_at_a_multiple():
    binner = SpikeBinner(["a"], 0.05)
    ((end, counts),) = binner.push([12.31, 12.28], ["a", "a"])
    assert end == pytest.approx(12.3) and counts.tolist() == [1]
    exact = SpikeBinner(["a"], 0.05)
    exact.push(0.15, "a")
    assert exact.state_dict()["start"] == pytest.approx(0.15)


def test_patience_holds_a_bin_open():
    binner = SpikeBinner(["a"], 0.1, start=0.0, patience=0.05)
    assert binner.push([0.02, 0.14], ["a", "a"]) == []
    assert binner.push([0.09], ["a"]) == []
    ((end, counts),) = binner.advance(0.15)
    assert (end, counts.tolist(), binner.late) == (0.1, [2], 0)
    assert binner.push([0.09], ["a"]) == [] and binner.late == 1
    # The counts are the caller's own.
    counts += 5
    assert binner.advance(0.25)[0].counts.tolist() == [1]


def test_spikes_before_the_start_are_late():
    binner = SpikeBinner(["a"], 0.1, start=100.0)
    assert binner.push([3.0, 98.0], ["a", "a"]) == []
    assert binner.push([99.0, 100.05], ["a", "a"]) == []
    ((_, counts),) = binner.advance(100.1)
    assert counts.tolist() == [1] and binner.late == 3


def test_a_clock_that_was_set_anew():
    binner = SpikeBinner(["a"], 0.1, start=0.0)
    binner.advance(5.0)
    binner.push([5.05], ["a"])
    before = binner.state_dict()
    with pytest.raises(ValueError, match=r"set anew. `reset\(start\)`"):
        binner.push([0.02], ["a"])
    with pytest.raises(
        ValueError, match=r"The clock is at 4\.8 s, 0\.25 s bef"
    ):
        binner.advance(4.8)
    assert binner.state_dict() == before
    assert binner.advance(5.0) == []  # As a clock and a spike may race.
    binner.reset(0.0)
    ((end, counts),) = binner.push([0.02, 0.1], ["a", "a"])
    assert (end, counts.tolist()) == (0.1, [1])


def test_a_clock_that_jumps_ahead():
    binner = SpikeBinner(["a"], 0.1, start=0.0, max_gap=2.0)
    assert [x.counts.tolist() for x in binner.push([2.0], ["a"])] == [[0]] * 20
    before = binner.state_dict()
    for jump in (
        lambda: binner.push([2.1, 4.05], ["a", "a"]),
        lambda: binner.push([1e9], ["a"]),
        lambda: binner.advance(4.05),
    ):
        with pytest.raises(ValueError, match="more than `max_gap`, 2 s"):
            jump()
    assert binner.state_dict() == before
    assert len(binner.advance(4.0)) == 20


def test_unknown_units():
    binner = SpikeBinner([1, 2], 0.1, start=0.0)
    for unit in (3, "1", 1.0, True, None, [1]):
        with pytest.raises(ValueError, match="expected one of 1, 2"):
            binner.push([0.01, 0.05], [1, unit])
    binner = SpikeBinner([1, 2], 0.1, start=0.0, unknown="ignore")
    binner.push([0.01, 0.05, 0.05], np.array([3, 2, 1]))
    ((_, counts),) = binner.push([0.12], [9])
    assert counts.tolist() == [1, 1] and binner.ignored == 2


@pytest.mark.parametrize(
    "times, units, message",
    [
        ([0.1, np.nan], ["a", "a"], "NaN or infinity in 1 of 2 spikes"),
        ([np.inf], ["a"], "must be finite"),
        ([0.1, 0.2], ["a"], "2 times and 1 units"),
        ([0.1], None, "expected one of 'a'"),
        ([0.1], np.array([["a"]]), "1 times and 1 units"),
        ([[0.1]], ["a"], r"of rank 1, \(spikes,\)"),
        ([[0.1], []], ["a", "a"], "rows of different lengths"),
        (["0.1"], ["a"], "must hold numbers"),
        ([1j], ["a"], "must hold numbers"),
        ([True], ["a"], "must hold numbers"),
        (np.ma.array([0.1], mask=[True]), ["a"], "must not be masked"),
        (np.array(["2026-01-01"], "M8[s]"), ["a"], "must hold numbers"),
    ],
)
def test_bad_spikes(times, units, message):
    binner = SpikeBinner(["a"], 0.1, start=0.0)
    with pytest.raises(ValueError, match=message):
        binner.push(times, units)
    assert binner.state_dict() == SpikeBinner(["a"], 0.1, 0.0).state_dict()


def test_nothing_to_push():
    binner = SpikeBinner(["a"], 0.1)
    assert binner.push([], []) == [] == binner.push(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"unit_ids": []}, "`unit_ids` must not be empty"),
        ({"unit_ids": "ab"}, "one id a unit, text or an integer"),
        ({"unit_ids": 3}, "one id a unit, text or an integer"),
        ({"unit_ids": [1, 2, 1]}, "must name each unit once"),
        ({"unit_ids": [1.5]}, r"a float must be whole, .* Received: 1\.5"),
        ({"bin_width": 50}, "milliseconds"),
        ({"bin_width": 0}, "`bin_width` must be a finite number above 0"),
        ({"start": np.nan}, "`start` must be a finite number"),
        ({"patience": -1}, "`patience` must be"),
        ({"unknown": "drop"}, "`unknown` must be one of"),
        ({"max_gap": 0}, "`max_gap` must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpikeBinner(**{"unit_ids": ["a"], "bin_width": 0.1, **arguments})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"unit_ids": ["b"]}, "of another `unit_ids`, which is"),
        ({"bin_width": 0.2}, "of another `bin_width`"),
        ({"now": float("nan")}, "`now` must be a finite number"),
        ({"late": -1}, "`late` must be an integer"),
        ({"open": [[1, 2]]}, r"`open` must hold counts"),
        ({"open": [[-1]]}, r"`open` must hold counts"),
        ({"start": None}, r"after a `start`"),
        ({"more": 1}, "as from `state_dict`"),
    ],
)
def test_bad_states(change, message):
    binner = SpikeBinner(["a"], 0.1, start=0.0)
    binner.push([0.05], ["a"])
    state = binner.state_dict()
    with pytest.raises(ValueError, match=message):
        binner.load_state_dict({**state, **change})
    assert binner.state_dict() == state


def test_a_thread_that_pushes_and_one_with_the_clock():
    binner = SpikeBinner(["a"], 0.001, start=0.0, patience=2.0)
    found = []
    lock = threading.Lock()

    def keep(bins):
        with lock:
            found.extend(bins)

    def push():
        for k in range(2000):
            keep(binner.push([k / 2000], ["a"]))

    def tick():
        for _ in range(500):
            keep(binner.advance(binner.state_dict()["now"] or 0.0))

    threads = [threading.Thread(target=target) for target in (push, tick)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found += binner.advance(3.0)
    assert sum(int(x.counts[0]) for x in found) == 2000
    assert len(found) == 1000


def test_bins_go_straight_into_a_session():
    model = ks.models.build_memory_network("additive")
    session = ks.streaming.StreamingSession(ks.streaming.step_model(model))
    binner = SpikeBinner(range(7), 0.05, start=0.0)
    times = np.sort(np.random.default_rng(0).uniform(0, 1, 60))
    units = np.random.default_rng(1).integers(0, 7, 60)
    bins = binner.push(times, units) + binner.advance(1.0)
    outputs = [session.push(x.counts) for x in bins]
    edges = [np.arange(0, 1.025, 0.05), np.arange(8)]
    counts, *_ = np.histogram2d(times, units, edges)
    expected = model.predict(counts[None], verbose=0)[0]
    np.testing.assert_allclose(np.stack(outputs), expected, atol=1e-5)
