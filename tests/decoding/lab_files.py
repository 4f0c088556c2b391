"""One session, written as labs have it: `.nwb`, `.mat`, pynapple, tables."""

import datetime
import warnings

import h5py
import numpy as np
import scipy.io

from tests.datasets import matlab_sessions

WIDTH = 0.05
UNITS = 4
# 100 Hz, from 2 to 18 s; there are spikes from 0 to 20 s.
TIMES = np.arange(200, 1801) / 100
HAND = np.stack([np.sin(TIMES), np.cos(2 * TIMES)], axis=1)
HEADING = np.mod(0.7 * TIMES, 2 * np.pi)
TRIALS = np.array([[3.0, 6.0], [7.5, 12.0], [13.0, 17.0]])
CONDITION = ["left", "right", "left"]
SPIKES_MS = [
    np.sort(np.random.default_rng(seed).integers(0, 20_000, 900))
    for seed in range(UNITS)
]
SPIKES_MS[2] = SPIKES_MS[2][:0]  # A silent unit.
SPIKES_MS[3] = SPIKES_MS[3] // 50 * 50  # On edges alone.
SPIKES = [ms / 1000 for ms in SPIKES_MS]


def counts():
    """Count by whole milliseconds, where no edge can be missed."""
    starts = np.arange(2_000, 18_000, 50)
    return np.array(
        [
            [np.sum((ms >= start) & (ms < start + 50)) for ms in SPIKES_MS]
            for start in starts
        ]
    )


def write_nwb(path, **changed):
    """Write the session as `.nwb`; `None` for what it is to lack."""
    import pynwb
    from pynwb import behavior
    from pynwb import file as nwb

    given = {
        "spikes": SPIKES,
        "times": TIMES,
        "hand": HAND,
        "trials": TRIALS,
        "observed": [[0.0, 20.0]],
        "twice": False,
        "heading": HEADING,
        **changed,
    }
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = nwb.NWBFile("made for a test", "id", now)
    if given["spikes"] is not None:
        for number, spikes in enumerate(given["spikes"]):
            made.add_unit(
                spike_times=np.asarray(spikes, float),
                obs_intervals=np.asarray(given["observed"], float),
                id=10 + number,
            )
    if given["trials"] is not None:
        made.add_trial_column("condition", "where to")
        for (start, stop), label in zip(
            given["trials"], CONDITION, strict=True
        ):
            made.add_trial(start_time=start, stop_time=stop, condition=label)
    clock = {"timestamps": given["times"]}
    module = made.create_processing_module("behavior", "what it did")
    position = behavior.Position(name="Position")
    # In cm from a corner; the file tells how to have metres.
    position.create_spatial_series(
        name="hand",
        data=100 * (given["hand"] - 3),
        reference_frame="the corner",
        unit="m",
        conversion=0.01,
        offset=3.0,
        **clock,
    )
    module.add(position)
    compass = behavior.CompassDirection(name="CompassDirection")
    compass.create_spatial_series(
        name="heading",
        data=np.degrees(HEADING),
        reference_frame="north",
        unit="degrees",
        starting_time=2.0,
        rate=100.0,
    )
    if given["heading"] is not None:
        made.add_acquisition(compass)
    series = behavior.BehavioralTimeSeries(name="BehavioralTimeSeries")
    for axis in (0, 1):
        series.create_timeseries(
            name=f"hand_{'xy'[axis]}", data=HAND[:, axis], unit="m", **clock
        )
    module.add(series)
    if given["twice"]:
        other = made.create_processing_module("other", "of one name")
        other.add(
            behavior.SpatialSeries(
                name="hand", data=HAND, reference_frame="-", unit="m", **clock
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(made)
    return path


def write_old_mat(path, **changed):
    """Write the session as MATLAB up to v7 does."""
    cells = np.empty((UNITS, 1), dtype=object)
    for unit, spikes in enumerate(SPIKES):
        # MATLAB's [] is of size 0 x 0; lists are rows here.
        cells[unit, 0] = spikes[None] if len(spikes) else np.zeros((0, 0))
    names = np.empty((1, UNITS), dtype=object)
    names[0] = ["a1", "a2", "b1", "b2"]
    scipy.io.savemat(
        path,
        {
            "units": cells,
            "t": TIMES[None],
            "hand": HAND,
            "heading": HEADING[:, None],
            "trials": TRIALS,
            "names": names,
            "session": {"spikes": cells, "hand": HAND},
            **changed,
        },
        do_compression=True,
    )
    return path


def write_new_mat(path):
    """Write the session as MATLAB v7.3 does, which is HDF5."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        cells = [
            [matlab_sessions._times(refs, f"u{unit}", spikes)]
            for unit, spikes in enumerate(SPIKES)
        ]
        matlab_sessions._cells(file, "units", cells)
        for name, matrix in (
            ("t", TIMES[None]),
            ("hand", HAND),
            ("heading", HEADING[:, None]),
            ("trials", TRIALS),
        ):
            matlab_sessions._dataset(file, name, matrix.T, "double")
    matlab_sessions._write_header(path)
    return path


def write_pynapple(folder, keys=True, support=(0.0, 20.0)):
    """Write what `TsGroup.save`, `TsdFrame.save` ... write (0.11.4)."""
    times = np.concatenate(SPIKES)
    index = np.repeat(np.arange(UNITS), [len(s) for s in SPIKES])
    order = np.argsort(times)
    group = {
        "type": np.array(["TsGroup"]),
        "_metadata": np.array({"location": ["adn"] * UNITS}, dtype=object),
        "t": times[order],
        "index": index[order],
        "start": np.array(support[:1]),
        "end": np.array(support[1:]),
    }
    if keys:
        group["keys"] = np.arange(UNITS)
    np.savez(folder / "spikes.npz", **group)
    np.savez(
        folder / "hand.npz",
        t=TIMES,
        d=HAND,
        start=TIMES[:1],
        end=TIMES[-1:],
        columns=np.array(["x", "y"]),
        type=np.array(["TsdFrame"]),
    )
    np.savez(
        folder / "heading.npz",
        t=TIMES,
        d=HEADING,
        start=TIMES[:1],
        end=TIMES[-1:],
        type=np.array(["Tsd"]),
    )
    np.savez(
        folder / "trials.npz",
        start=TRIALS[:, 0],
        end=TRIALS[:, 1],
        type=np.array(["IntervalSet"]),
    )
    return folder / "spikes.npz"


def write_all(folder):
    """Write what docs/decoding.md reads."""
    write_nwb(folder / "session.nwb")
    write_old_mat(folder / "lab.mat")
    write_pynapple(folder)
    for unit, train in enumerate(SPIKES):
        np.save(folder / f"unit_{unit}.npy", train)
    np.save(folder / "t.npy", TIMES)
    np.save(folder / "hand.npy", HAND)
    rows = [
        f"{unit},{time}" for unit, train in enumerate(SPIKES) for time in train
    ]
    (folder / "spikes.csv").write_text("\n".join(["unit,time", *rows]))
    rows = [f"{t},{x},{y}" for t, (x, y) in zip(TIMES, HAND, strict=True)]
    (folder / "hand.csv").write_text("\n".join(["time,x,y", *rows]))


class Ts:
    """The face of a `Ts`, `Tsd` and `TsdFrame` of pynapple."""

    def __init__(self, t, d=None, columns=None):
        self.t = t
        if d is not None:
            self.d = d
        if columns is not None:
            self.columns = columns


class TsGroup:
    """The face of a `TsGroup`: keys, and a `Ts` for each."""

    def __init__(self, trains):
        self._units = {key: Ts(train) for key, train in trains.items()}

    def keys(self):
        return list(self._units)

    def __getitem__(self, key):
        return self._units[key]
