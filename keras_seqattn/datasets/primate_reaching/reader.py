"""Examples of the reaching sessions, with NumPy and h5py alone."""

import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.datasets.primate_reaching.session_file import AREA
from keras_seqattn.datasets.primate_reaching.session_file import BIN_WIDTHS
from keras_seqattn.datasets.primate_reaching.session_file import QUANTITIES
from keras_seqattn.datasets.primate_reaching.session_file import QUANTITY
from keras_seqattn.datasets.primate_reaching.session_file import BinnedSession
from keras_seqattn.datasets.primate_reaching.session_file import read_session
from keras_seqattn.datasets.primate_reaching.sessions import NAMES
from keras_seqattn.datasets.primate_reaching.sessions import RECORDINGS
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.recording import Recording

SPLITS = ("train", "test")
SUPERVISED = ("spikes", "movement")
LICENCE = "CC BY 4.0"
TIMESTEPS = 20
# 47 sessions and both monkeys, each in four widths of bins.
CONFIGS: dict[str, dict[str, Any]] = {
    f"{recording}_{1000 * bin_width:.0f}ms": {
        "recording": recording,
        "bin_width": bin_width,
    }
    for recording in RECORDINGS
    for bin_width in BIN_WIDTHS
}


def read_recording(
    path: str | os.PathLike[str],
    *,
    area: str = AREA,
    bin_width: float = 0.064,
    effector: str = "cursor",
    quantity: str = QUANTITY,
    alignment: str = "end",
) -> Recording:
    """Read a session as a `keras_seqattn.decoding.Recording`.

    Args:
        path: Path of the session's `.mat` file.
        area: `"M1"`, `"S1"` or `"M1+S1"`.
        bin_width: Width of a bin in seconds: 0.016, 0.032, 0.064 or 0.128.
        effector: `"cursor"` or `"finger"`.
        quantity: `"position"` (mm), `"velocity"` (mm/s) or `"acceleration"`
            (mm/s^2).
        alignment: `"end"`, `"mean"` or `"start"`, the instant of a bin that
            its movement is taken at. See `session_file.read_session`.

    Returns:
        A `Recording` whose units are the area's channels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As `session_file.read_session`.
    """
    session = read_session(
        path,
        area=area,
        bin_width=bin_width,
        effector=effector,
        quantity=quantity,
        alignment=alignment,
    )
    return Recording(
        session.spikes,
        session.movement,
        session.segment,
        bin_width=bin_width,
        quantity=f"{effector} {quantity} ({QUANTITIES[quantity]})",
        times=session.time,
        unit_ids=session.channels,
    )


def read_examples(
    path: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    split: str,
    *,
    recording: str = "indy_20160407_02",
    timesteps: int | None = TIMESTEPS,
    stride: int = 1,
    train_seconds: float = 320.0,
    area: str = AREA,
    bin_width: float = 0.064,
    effector: str = "cursor",
    quantity: str = QUANTITY,
    alignment: str = "end",
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the examples of a split, session by session, in time order.

    A window lies in one segment and in one part: none holds bins of both
    training and test.

    Args:
        path: A session's `.mat` file, a folder with the recording's files
            under their published names, or a mapping from names to files.
        split: `"train"`, the first `train_seconds` of each session, or
            `"test"`, the rest.
        recording: Name of a session, or `"indy"` or `"loco"` for all sessions
            of that monkey. Not used when `path` is a file.
        timesteps: Bins in a window; `None` gives single bins, without the
            time axis.
        stride: Bins from one window to the next.
        train_seconds: Length of the training part. Default: the published
            320 s.
        area: As `session_file.read_session`.
        bin_width: The same.
        effector: The same.
        quantity: The same.
        alignment: The same.

    Yields:
        A running number and a dictionary: `spikes` (timesteps, channels),
        uint16, oldest bin first; `movement` (2,), float32, of the newest bin;
        `time_ms`, int64, its end in milliseconds since the session's first
        sample; `segment`, int64, the session's stretch without a gap that it
        lies in; `session`, int64, its place in `sessions.NAMES`, -1 for a
        file of another name.

    Raises:
        FileNotFoundError: A session's file is missing.
        ValueError: A part without a window, or as `session_file.read_session`.
    """
    check_choice("split", split, SPLITS)
    check_positive_number("train_seconds", train_seconds)
    bins = 1
    if timesteps is not None:
        bins = check_positive_integer("timesteps", timesteps)
    key = 0
    for name, file in _session_files(path, recording).items():
        number = np.int64(NAMES.index(name) if name in NAMES else -1)
        session = read_session(
            file,
            area=area,
            bin_width=bin_width,
            effector=effector,
            quantity=quantity,
            alignment=alignment,
        )
        ends = _ends_of_part(name, session, split, bins, stride, train_seconds)
        for end in ends:
            window = slice(end + 1 - bins, end + 1)
            yield (
                key,
                {
                    "spikes": session.spikes[
                        end if timesteps is None else window
                    ],
                    "movement": session.movement[end],
                    "time_ms": np.int64(np.rint(1000 * session.time[end])),
                    "segment": session.segment[end],
                    "session": number,
                },
            )
            key += 1


def _session_files(
    path: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
    recording: str,
) -> Mapping[str, str | os.PathLike[str]]:
    if isinstance(path, Mapping):
        return path
    path = pathlib.Path(path)
    if not path.is_dir():
        return {path.stem: path}
    if recording not in RECORDINGS:
        raise ValueError(
            "`recording` must be a published session such as "
            "'indy_20160407_02', or 'indy' or 'loco' for all of a monkey's. "
            f"Received: recording={recording!r}"
        )
    return {name: path / f"{name}.mat" for name in RECORDINGS[recording]}


def _ends_of_part(
    name: str,
    session: BinnedSession,
    split: str,
    timesteps: int,
    stride: int,
    train_seconds: float,
) -> np.ndarray:
    """Return the last bin of every window of a part."""
    ends = window_ends(session.segment, timesteps, stride)
    # Half a sample: times are sums of 4 ms in floating point.
    cut = np.searchsorted(session.time, train_seconds + 0.002)
    ends = (
        ends[ends < cut]
        if split == "train"
        else ends[ends - timesteps + 1 >= cut]
    )
    if not len(ends):
        raise ValueError(
            f"The {split} part of {name} holds no window of {timesteps} bins. "
            "The first `train_seconds` of a session are for training, the "
            "rest for the test. Use fewer timesteps, other `train_seconds` "
            f"or a longer session. Received: {session.time[-1]:.0f} s of "
            f"recording, train_seconds={train_seconds}"
        )
    return ends
