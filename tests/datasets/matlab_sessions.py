"""Reaching sessions in their original format, MATLAB v7.3, for tests."""

import pathlib

import h5py
import numpy as np

MS = 0.001
STEP = 4 * MS
USER_BLOCK = 512


def write_session(
    path,
    *,
    t,
    cursor,
    spikes,
    names,
    depth=0.0,
    finger_columns=3,
    leave_out=(),
):
    """Write a session; HDF5 holds MATLAB's matrices transposed.

    Args:
        path: The file.
        t: Seconds, (samples,).
        cursor: Millimetres, (samples, 2). The finger follows it in cm, as
            (depth, -x, -y).
        spikes: For each channel a list of arrays, spike times of its units.
            An empty array becomes MATLAB's mark of an empty cell.
        names: Names of the channels.
        depth: The finger's first coordinate.
        finger_columns: 3, or 6 with angles.
        leave_out: Variables not to write.
    """
    finger = np.zeros((len(t), finger_columns))
    finger[:, 0] = depth
    finger[:, 1:3] = -np.asarray(cursor) / 10
    finger[:, 3:] = 77.0
    matrices = {
        "t": np.asarray(t)[:, None],
        "cursor_pos": cursor,
        "finger_pos": finger,
        "target_pos": np.round(np.asarray(cursor) / 15) * 15,
    }
    with h5py.File(path, "w", userblock_size=USER_BLOCK) as file:
        refs = file.create_group("#refs#")
        for name, matrix in matrices.items():
            if name not in leave_out:
                _dataset(file, name, np.asarray(matrix).T, "double")
        if "chan_names" not in leave_out:
            text = [
                _dataset(
                    refs,
                    f"n{number}",
                    np.array([[ord(letter)] for letter in name], "uint16"),
                    "char",
                    MATLAB_int_decode=np.int32(2),
                )
                for number, name in enumerate(names)
            ]
            _cells(file, "chan_names", [[cell] for cell in text])
        if "spikes" not in leave_out:
            units = [
                [
                    _times(refs, f"s{row}_{slot}", times)
                    for slot, times in enumerate(channel)
                ]
                for row, channel in enumerate(spikes)
            ]
            _cells(file, "spikes", units)
    _write_header(path)


def reach(seconds, start=148.984, seed=0):
    """Return `t` and a cursor that moves along sines, in mm."""
    t = start + STEP * np.arange(round(seconds / STEP))
    rng = np.random.default_rng(seed)
    speed = rng.uniform(0.2, 0.7, size=2)
    return t, 40 * np.sin(2 * np.pi * speed * (t[:, None] - start))


def session_of(path, recording, area="M1"):
    """Write a `Recording` as a session: its counts, spread over each bin.

    Its movement is held for a bin's time and summed up to the cursor's path.
    """
    bins, channels = recording.spikes.shape
    samples = round(recording.bin_width / STEP)
    t = 148.984 + STEP * np.arange(bins * samples + 1)
    velocity = np.repeat(recording.movement, samples, axis=0)
    cursor = np.concatenate([[[0, 0]], STEP * velocity.cumsum(axis=0)])
    rng = np.random.default_rng(0)
    spikes = []
    for counts in recording.spikes.T.astype(int):
        number = np.repeat(np.arange(bins), counts)
        inside = rng.uniform(0.1, 0.9, len(number))
        times = t[0] + recording.bin_width * (number + inside)
        sorted_unit = rng.random(len(times)) < 0.4
        spikes.append([times[~sorted_unit], times[sorted_unit], []])
    names = [f"{area} {number + 1:03}" for number in range(channels)]
    write_session(path, t=t, cursor=cursor, spikes=spikes, names=names)


def poisson_session(path, seconds, channels=96, units=5, rate=13.6, seed=0):
    """Write a session of random spikes, some of them outside the recording."""
    t, cursor = reach(seconds, seed=seed)
    rng = np.random.default_rng(seed)
    share = np.array([0.58, 0.28, 0.14, 0, 0])[:units]
    spikes = [
        [
            np.sort(
                rng.uniform(
                    t[0] - 1, t[-1] + 1, rng.poisson(part * rate * seconds)
                )
            )
            for part in share
        ]
        for _ in range(channels)
    ]
    names = [f"M1 {number + 1:03}" for number in range(channels)]
    write_session(path, t=t, cursor=cursor, spikes=spikes, names=names)


def _times(group, name, times):
    times = np.asarray(times, dtype=np.float64)
    if len(times):
        return _dataset(group, name, times[None], "double")
    # The payload is the sizes of the empty matrix, not its content.
    return _dataset(
        group,
        name,
        np.array([0, 1], "uint64"),
        "double",
        MATLAB_empty=np.uint8(1),
    )


def _cells(file, name, rows):
    references = np.array(
        [[cell.ref for cell in row] for row in rows], dtype=h5py.ref_dtype
    )
    _dataset(file, name, references.T, "cell")


def _dataset(group, name, data, kind, **attributes):
    dataset = group.create_dataset(name, data=data)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    for key, value in attributes.items():
        dataset.attrs[key] = value
    return dataset


def _write_header(path):
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, written for a test"
    with pathlib.Path(path).open("r+b") as file:
        file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")
