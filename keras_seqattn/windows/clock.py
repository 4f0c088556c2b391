"""One clock: stamps as sensors write them, to samples at one rate."""

import dataclasses

import numpy as np

# A hole longer than so many usual steps is a seam.
GAP = 5
# Stamps this near to an even clock (in steps) are of one; samples stay as is.
EVEN = 0.1
# Taps of the low-pass before a rate falls, in steps of the new rate.
TAPS = 8
# Up to this quotient the lowest of several rates is taken.
QUOTIENT = 2.5


@dataclasses.dataclass(frozen=True)
class ClockReport:
    """What was done to bring a recording to one rate.

    Args:
        rates: Samples in a second as recorded, of each stream.
        rate: Samples in a second of the result.
        interpolated: Share of the result that stands in holes, where nothing
            was recorded.
        seams: Number of holes too long to be bridged.
        samples: Number of samples of the result.
    """

    rates: tuple[float, ...]
    rate: float
    interpolated: float
    seams: int
    samples: int


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Samples without a seam: their times in seconds, spread evenly.

    `order` tells which of the stream's samples they are; `hole` is the step
    from which on samples are missing.
    """

    times: np.ndarray
    order: np.ndarray
    rate: float
    hole: float


def stretches(
    stamps: np.ndarray, place: str, max_gap: float | None = None
) -> list[Stretch]:
    """Divide a stream at its seams, and spread its stamps in each part.

    Args:
        stamps: Array of shape `(samples,)`, seconds.
        place: Where they are from, for messages.
        max_gap: Seconds; a hole that is longer is a seam. Default: five usual
            steps.

    Returns:
        The stretches of at least three samples and two stamps.

    Raises:
        ValueError: The stamps do not rise.
    """
    steps = np.diff(stamps)
    if not (steps > 0).any():
        raise ValueError(
            f"The times of {place} must rise from sample to sample. Received: "
            f"{len(stamps)} samples, none later than the one before"
        )
    usual = _usual(steps[steps > 0])
    gap = GAP * usual if max_gap is None else max_gap
    # Packets that swapped places are sorted; a leap back is a new beginning.
    bounds = np.flatnonzero(steps < -gap) + 1
    found = []
    for block in np.split(np.arange(len(stamps)), bounds):
        order = block[np.argsort(stamps[block], kind="stable")]
        seams = np.flatnonzero(np.diff(stamps[order]) > gap) + 1
        found += [
            _spread(stamps, part, usual) for part in np.split(order, seams)
        ]
    return [part for part in found if part is not None]


def _usual(steps: np.ndarray) -> float:
    """The step between packets, whether or not they come in bursts."""
    return float(np.quantile(steps, 0.9, method="lower"))


def _spread(
    stamps: np.ndarray, order: np.ndarray, usual: float
) -> Stretch | None:
    own = stamps[order]
    packets, counts = np.unique(own, return_counts=True)
    if len(order) < 3 or len(packets) < 2:
        return None
    steps = np.diff(packets)
    usual = _usual(steps)
    whole = steps <= 1.5 * usual
    shared = bool((counts > 1).any())
    # The first packet may have begun before the recording did.
    if shared and len(packets) > 2 and whole[1:].any():
        whole[0] = False
    rate = float(counts[:-1][whole].sum() / steps[whole].sum())
    hole = max(1.5 / rate, 1.5 * usual)
    unit = usual if shared else _resolution(own, 1 / rate)
    even = _even(own, rate, unit, shared)
    if even is not None:
        return Stretch(even, order, 1 / float(even[1] - even[0]), hole)
    times = _within_packets(packets, counts, 1 / rate) if shared else own
    return Stretch(times, order, rate, hole)


def _resolution(stamps: np.ndarray, step: float) -> float:
    """What stamps were rounded to, if that is less than a step."""
    since = stamps - stamps[0]
    for digits in range(1, 7):
        unit = 10.0**-digits
        if unit <= 0.6 * step and np.allclose(
            since / unit, np.round(since / unit), rtol=0, atol=0.01
        ):
            return unit
    return 0.0


def _even(
    own: np.ndarray, rate: float, unit: float, shared: bool
) -> np.ndarray | None:
    """The even clock of rounded stamps, or None if there is no such."""
    number = np.arange(len(own)) - (len(own) - 1) / 2
    since = own - own[0]
    step = float(number @ (since - since.mean()) / (number @ number))
    # The line through packets is bent by the first and the last of them.
    step = 1 / rate if shared else step
    if not 0.95 < step * rate < 1.05:
        return None
    even = since.mean() + number * step
    if np.abs(since - even).max() > max(EVEN * step, 0.75 * unit):
        return None
    return own[0] + even


def _within_packets(
    packets: np.ndarray, counts: np.ndarray, step: float
) -> np.ndarray:
    ahead = np.append(np.diff(packets), np.inf)
    steps = np.minimum(step, ahead / counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(counts.sum()) - first
    times = np.repeat(packets, counts) + place * np.repeat(steps, counts)
    # The first one ends where the second begins.
    if len(packets) > 1 and ahead[0] < counts[0] * step * 2:
        times[: counts[0]] = packets[1] - step * np.arange(counts[0], 0, -1)
    return times


def stream_rate(
    parts: list[Stretch], rows: np.ndarray, place: str, told: bool = False
) -> float:
    """Return the one rate of a stream's stretches.

    If it is `told` which rate to resample to, they may differ.

    Raises:
        ValueError: Their rates differ by more than a quarter.
    """
    long = [part for part in parts if len(part.order) >= 6] or parts
    if not long:
        raise ValueError(
            f"{place} holds no stretch of three samples without a hole. Is the "
            "unit of time right (`time_unit`)? Longer holes are bridged with "
            "`max_gap`."
        )
    pieces = [piece for part in long for piece in _pieces(part)]
    weights = np.array([number for _, number, _ in pieces], float)
    rates = np.array([rate for rate, _, _ in pieces])
    order = np.argsort(rates)
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    rate = float(rates[order][middle])
    for own, _, first in pieces:
        if not told and not 0.8 <= own / rate <= 1.25:
            raise ValueError(
                f"{place} must have one rate, or be told which to resample "
                f"to: `rate=`. Received: about {own:.4g} Hz from row "
                f"{rows[first]} on, {rate:.4g} Hz in most of it"
            )
    spans = sum((len(part.times) - 1) / part.rate for part in long)
    return float(sum(len(part.times) - 1 for part in long) / spans)


def _pieces(part: Stretch) -> list[tuple[float, int, int]]:
    """Rates of up to eight pieces: of one that changes they differ."""
    number = min(8, len(part.times) // 40)
    if number < 2:
        return [(part.rate, len(part.times), int(part.order[0]))]
    found = []
    for piece in np.array_split(np.arange(len(part.times)), number):
        steps = np.diff(part.times[piece])
        steps = steps[steps <= part.hole]
        if len(steps) and steps.sum() > 0:
            rate = len(steps) / float(steps.sum())
            found.append((rate, len(piece), int(part.order[piece[0]])))
    return found


def common_rate(rates: dict[str, float], samples: int = 1000) -> float:
    """Choose the rate of several recordings: their own, or the lowest.

    Rates that differ by less than a hundredth are one, the median.

    Args:
        rates: For each place its rate.
        samples: How many samples tell of it.

    Raises:
        ValueError: The highest is more than 2.5 times the lowest.
    """
    values = np.array([*rates.values()])
    middle = float(np.median(values))
    if (np.abs(values / middle - 1) < 0.01).all():
        return _neat(middle, samples)
    low, high = (
        min(rates, key=rates.__getitem__),
        max(rates, key=rates.__getitem__),
    )
    if rates[high] > QUOTIENT * rates[low]:
        raise ValueError(
            "Which rate is meant cannot be known: give `rate=`, and all are "
            f"resampled to it. Received: {rates[low]:.4g} Hz in {low}, "
            f"{rates[high]:.4g} Hz in {high}"
        )
    return _neat(rates[low], samples)


def _neat(rate: float, samples: int) -> float:
    """50 for 49.999, which is no other rate to anybody."""
    whole, near = float(round(rate)), max(1e-3, 0.25 / samples)
    return whole if whole and abs(rate / whole - 1) < near else rate


def to_grid(
    part: Stretch, values: np.ndarray, grid: np.ndarray, rate: float
) -> np.ndarray:
    """Interpolate a stretch at the times `grid`, `1 / rate` apart.

    Where the rate falls, what is too fast for the new one is taken out
    before.

    Args:
        part: The stretch.
        values: Its samples, of shape `(samples, channels)`.
        grid: Times of shape `(times,)`.
        rate: Samples in a second of the result.
    """
    times = part.times
    if rate < 0.95 * part.rate:
        count = int(np.floor((times[-1] - times[0]) * part.rate + 1e-6)) + 1
        even = times[0] + np.arange(count) / part.rate
        values = _low_pass(_interpolate(times, values, even), rate / part.rate)
        times = even
    return _interpolate(times, values, grid)


def _interpolate(
    times: np.ndarray, values: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    columns = [np.interp(grid, times, column) for column in values.T]
    return np.stack(columns, axis=1)


def _low_pass(values: np.ndarray, quotient: float) -> np.ndarray:
    """A windowed sinc that passes what `quotient` of the rate can hold."""
    half = int(np.ceil(TAPS / quotient))
    taps = np.arange(-half, half + 1)
    kernel = np.sinc(0.9 * quotient * taps) * np.hamming(len(taps))
    kernel /= kernel.sum()
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    return np.stack(
        [np.convolve(column, kernel, "valid") for column in padded.T], axis=1
    )
