"""Streams of one recording, on one clock."""

import dataclasses
import logging
import os
import re
import warnings

import numpy as np

from keras_seqattn.activity.streams import Stream
from keras_seqattn.windows import clock
from keras_seqattn.windows.signal_options import SignalOptions
from keras_seqattn.windows.signal_recording import SignalRecording

# Of more, holes are many enough to be told.
MANY = 0.1
# Seconds, a year: a clock that shows more tells dates.
DATES = 365 * 86400


@dataclasses.dataclass(frozen=True)
class Timed:
    """A stream with its stretches, and its rate."""

    stream: Stream
    parts: list[clock.Stretch]
    rate: float


def timed(stream: Stream, max_gap: float | None, rate: float | None) -> Timed:
    """Spread a stream's stamps."""
    place = repr(stream.source)
    if stream.subject is not None:
        place += f" (subject {stream.subject})"
    parts = clock.stretches(stream.stamps, place, max_gap)
    own = clock.stream_rate(parts, stream.rows, place, rate is not None)
    return Timed(stream, parts, own)


def grouped(streams: list[Stream], told: bool) -> list[list[Stream]]:
    """Put streams together that are of one person, at one time.

    Args:
        streams: The streams.
        told: Whether it is told which sensors they are of.

    Raises:
        ValueError: A stream fits to several, or may be another sensor's.
    """
    groups: list[list[Stream]] = []
    for stream in streams:
        fitting = [group for group in groups if _fits(group, stream)]
        own = [g for g in fitting if g[0].source == stream.source] or fitting
        if len(own) > 1:
            raise ValueError(
                f"{stream.source!r} has times and channels that fit to several "
                "recordings. Tell people apart (`subject_from`), or read one "
                f"pair of files at a time. Received: "
                f"{[group[0].source for group in own]}"
            )
        if own:
            own[0].append(stream)
        else:
            if not told:
                _check_sensors(groups, stream)
            groups.append([stream])
    return groups


def _check_sensors(groups: list[list[Stream]], stream: Stream) -> None:
    """Raise if it is no other recording, but what another sensor wrote."""
    for other in (one for group in groups for one in group):
        if (
            other.source == stream.source
            or other.subject != stream.subject
            or not set(other.channels) & set(stream.channels)
        ):
            continue
        one, two = (_sensors(s.source) for s in (other, stream))
        if (one and two and one != two) or _at_once(other, stream):
            raise ValueError(
                f"{other.source!r} and {stream.source!r} have equal names of "
                "columns. If they are of two sensors, tell so by a pattern on "
                r"the path: `sensor=r'(?i)(acc|gyro)\w*\.csv'`; if of two "
                "people, by `subject_from`; two of one person and sensor must "
                "not overlap in time. Or read them one at a time. "
                f"Received: {stream.channels} in both"
            )


# Words for sensors in names of files, and which are one.
_SENSORS = {
    **dict.fromkeys(("acc", "accel", "acceleration", "accelerometer"), "acc"),
    **dict.fromkeys(("gyr", "gyro", "gyroscope"), "gyro"),
    **dict.fromkeys(("mag", "magnetic", "magnetometer"), "mag"),
    **{w: w for w in ("gravity", "linear", "orientation", "total", "user")},
    **dict.fromkeys(("uncalibrated", "uncal"), "uncalibrated"),
}


def _sensors(path: str) -> set[str]:
    words = re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", os.path.basename(path))
    return {_SENSORS[w.lower()] for w in words if w.lower() in _SENSORS}


def _at_once(one: Stream, other: Stream) -> bool:
    """Whether both were recorded at the same moments, by their dates.

    Clocks that begin at 0 do not tell.
    """
    short, long = sorted((s.stamps for s in (one, other)), key=len)
    if short.min() < DATES or not _overlap(one, other):
        return False
    long = np.sort(long)
    apart = np.abs(long[_nearest(long, short)] - short)
    return bool((apart <= np.median(np.diff(long))).mean() > 0.5)


def _overlap(one: Stream, other: Stream) -> bool:
    return bool(
        min(one.stamps.max(), other.stamps.max())
        > max(one.stamps.min(), other.stamps.min())
    )


def _fits(group: list[Stream], stream: Stream) -> bool:
    return all(
        other.subject == stream.subject
        and not set(other.channels) & set(stream.channels)
        and _overlap(other, stream)
        for other in group
    )


def merged(
    group: list[Timed], rate: float, options: SignalOptions
) -> SignalRecording:
    """Bring the streams of a recording to one clock.

    Labels are those of the nearest sample. A stretch lasts while all streams
    are there.

    Raises:
        ValueError: The streams share no time.
    """
    first = group[0].stream
    signals: list[np.ndarray] = []
    times: list[np.ndarray] = []
    segments: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    holes: list[np.ndarray] = []
    labelled = next((t for t in group if t.stream.label is not None), None)
    for parts in _together(group):
        grid = _grid(parts, [t.rate for t in group], rate)
        pieces, hole = [], np.zeros(len(grid), bool)
        for own, part in zip(group, parts, strict=True):
            values = own.stream.values[part.order]
            if grid is not part.times:
                values = clock.to_grid(part, values, grid, rate)
                hole |= _in_hole(part, grid)
            pieces.append(values)
            if own is labelled and own.stream.label is not None:
                nearest = _nearest(part.times, grid)
                labels.append(own.stream.label[part.order][nearest])
        signals.append(np.concatenate(pieces, axis=1))
        times.append(grid)
        segments.append(np.full(len(grid), len(segments)))
        holes.append(hole)
    if not signals:
        raise ValueError(
            f"The streams of {first.source!r} share no stretch of time. "
            f"Received: {[t.stream.channels for t in group]}"
        )
    share = float(np.concatenate(holes).mean())
    segment = np.concatenate(segments)
    signal, channels = options.apply(
        np.concatenate(signals),
        segment,
        tuple(name for t in group for name in t.stream.channels),
        rate,
    )
    report = clock.ClockReport(
        tuple(t.rate for t in group),
        rate,
        share,
        len(segments) - 1,
        len(signal),
    )
    logging.getLogger(__name__).info("%s: %s", first.source, report)
    if share > MANY:
        warnings.warn(
            f"{share:.0%} of {first.source!r} was not recorded, and is "
            "interpolated. `max_gap` (seconds) makes seams of shorter holes.",
            stacklevel=2,
        )
    return SignalRecording(
        signal=signal,
        times=np.concatenate(times),
        segment=segment,
        channels=channels,
        rate=rate,
        subject=first.subject,
        label=np.concatenate(labels) if labels else None,
        source=first.source,
        clock=report,
    )


def _together(group: list[Timed]) -> list[list[clock.Stretch]]:
    """Stretches of all streams that overlap in time."""
    found: list[list[clock.Stretch]] = [[part] for part in group[0].parts]
    for other in group[1:]:
        found = [
            [*parts, part]
            for parts in found
            for part in other.parts
            if min(p.times[-1] for p in (*parts, part))
            > max(p.times[0] for p in (*parts, part))
        ]
    return found


def _grid(
    parts: list[clock.Stretch], rates: list[float], rate: float
) -> np.ndarray:
    start = max(part.times[0] for part in parts)
    stop = min(part.times[-1] for part in parts)
    (own,) = (parts[0],) if len(parts) == 1 else (None,)
    if own is not None:
        steps = np.diff(own.times)
        even = np.ptp(steps) < 1e-3 / rate
        # The number of samples does not tell the two rates apart.
        if even and abs(1 - rate * steps.mean()) * len(own.times) < 1:
            return own.times
    return start + np.arange(int((stop - start) * rate + 1e-6) + 1) / rate


def _nearest(times: np.ndarray, grid: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    return after - (grid - times[after - 1] < times[after] - grid)


def _in_hole(part: clock.Stretch, grid: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(part.times, grid), 1, len(part.times) - 1)
    before = part.times[after - 1]
    near = np.minimum(np.abs(grid - before), np.abs(part.times[after] - grid))
    step = part.times[after] - before
    return (step > part.hole) & (near > 0.5 / part.rate)
