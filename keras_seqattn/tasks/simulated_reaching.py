"""Simulated reaching: spikes and velocity with a known window length."""

import dataclasses

import numpy as np

from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import random_generator
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_bin_width


@dataclasses.dataclass(frozen=True)
class SimulatedNeurons:
    """What the neurons of a simulated day are like: the truth.

    Attributes:
        unit_ids: Integers, one a neuron. Who keeps the id is the same neuron.
        angle: Float array `(units,)`, preferred direction in radians.
        modulation: Float array `(units,)`, how much it is modulated.
        rest_rate: Float array `(units,)`, firing rate at rest in Hz.
    """

    unit_ids: tuple[int, ...]
    angle: np.ndarray
    modulation: np.ndarray
    rest_rate: np.ndarray

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        units: int,
        mean_rate: float,
        first_id: int = 0,
    ) -> "SimulatedNeurons":
        """Draw neurons, with ids from `first_id` on."""
        angle = rng.uniform(0, 2 * np.pi, units)
        modulation = rng.uniform(0.4, 0.9, units)
        rest_rate = rng.lognormal(-(0.8**2) / 2, 0.8, units) * mean_rate
        ids = tuple(range(first_id, first_id + units))
        return cls(ids, angle, modulation, rest_rate)

    def drifted(
        self,
        rng: np.random.Generator,
        mean_rate: float,
        turnover: float,
        gain_drift: float,
        tuning_drift: float,
        first_id: int,
    ) -> "SimulatedNeurons":
        """Return them on the next day; as `simulated_days` says."""
        units = len(self.unit_ids)
        # As many draws whatever the drift: its sizes can be compared.
        order = rng.permutation(units)
        gain, rotation = rng.normal(size=(2, units))
        new = self.draw(rng, units, mean_rate, first_id)
        gone = np.zeros(units, bool)
        gone[order[: round(turnover * units)]] = True
        ids = iter(new.unit_ids)
        return SimulatedNeurons(
            tuple(
                next(ids) if is_gone else unit
                for unit, is_gone in zip(self.unit_ids, gone, strict=True)
            ),
            np.where(gone, new.angle, self.angle + tuning_drift * rotation),
            np.where(gone, new.modulation, self.modulation),
            np.where(
                gone, new.rest_rate, self.rest_rate * np.exp(gain_drift * gain)
            ),
        )

    def rate(self, command: np.ndarray) -> np.ndarray:
        """Return rates in Hz `(bins, units)` for commands `(bins, 2)`."""
        preferred = np.stack([np.cos(self.angle), np.sin(self.angle)])
        rate = self.rest_rate * np.exp(self.modulation * (command @ preferred))
        # A neuron does not fire faster than about once in 5 ms.
        return np.minimum(rate, 200.0)


@dataclasses.dataclass(frozen=True)
class SimulatedDay:
    """A day of `simulated_days`.

    Attributes:
        recording: The `Recording`, with `unit_ids`.
        neurons: The `SimulatedNeurons` behind its units, in their order.
    """

    recording: Recording
    neurons: SimulatedNeurons

    def with_ids(self) -> "SimulatedDay":
        """Return the day with the ids of its neurons in the recording."""
        recording = dataclasses.replace(
            self.recording, unit_ids=self.neurons.unit_ids
        )
        return dataclasses.replace(self, recording=recording)


def simulated_reaching(
    bins: int = 12_000,
    units: int = 40,
    kernel_length: int = 5,
    onset_probability: float = 0.25,
    mean_rate: float = 10.0,
    bin_width: float = 0.064,
    segment_bins: int = 400,
    seed: int = 0,
) -> Recording:
    """Simulate a reaching session whose right window length is known.

    A movement is a sum of overlapping submovements. In each bin one begins
    with `onset_probability`, in a direction and with a size that no earlier
    bin foretells. Cosine-tuned neurons fire for the command that begins it,
    and the hand answers through a causal kernel of `kernel_length` bins:

    ```
    command   u_t = b_t e_t               b_t ~ Bernoulli, e_t ~ N(0, 4 I_2)
    rate      r_ct = min(r_c exp(m_c p_c . u_t), 200 Hz)
    spikes    n_ct ~ Poisson(r_ct bin_width)
    velocity  v_t = sum_{j < L} k_j u_{t-j},  k_j ~ 1/2 + sin(pi (j+1/2)/L)/2
    ```

    Neuron `c` prefers the direction `p_c` and is modulated by `m_c` in 0.4 ..
    0.9. Velocity in bin `t` depends on the commands of the last `L =
    kernel_length` bins alone, and a command leaves spikes in its own bin
    alone. So the newest `L` bins hold everything that can be decoded, the
    one before them nothing: the right number of timesteps is `L`, exactly.

    References: submovements, [Flash & Henis, J. Cogn. Neurosci. 3(3), 220,
    1991](https://doi.org/10.1162/jocn.1991.3.3.220); cosine tuning,
    [Georgopoulos et al., J. Neurosci. 2(11), 1527, 1982](
    https://doi.org/10.1523/JNEUROSCI.02-11-01527.1982).

    Args:
        bins: Positive integer, number of bins.
        units: Positive integer, number of neurons.
        kernel_length: Positive integer, `L` in bins.
        onset_probability: Number in (0, 1], probability that a submovement
            begins in a bin.
        mean_rate: Mean firing rate at rest over the neurons, in Hz. Rates
            are log-normal over neurons (deviation 0.8 of the logarithm).
        bin_width: Width of a bin in seconds.
        segment_bins: Positive integer, bins between two seams. The command
            does not stop there, but windows across a seam are forbidden, as
            in a recording with pauses cut out.
        seed: Integer, seeds everything.

    Returns:
        A `Recording`: `spikes` (bins, units) are counts; `movement` (bins, 2)
        is velocity in cm/s, with a deviation of 10 cm/s per axis.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=1000, kernel_length=5)
    print(recording.spikes.shape, recording.movement.shape)
    # (1000, 40) (1000, 2)
    ```
    """
    settings = _Settings(
        bins,
        units,
        kernel_length,
        onset_probability,
        mean_rate,
        bin_width,
        segment_bins,
    )
    return settings.first_day(seed).recording


def simulated_days(
    days: int = 2,
    *,
    turnover: float = 0.0,
    gain_drift: float = 0.0,
    tuning_drift: float = 0.0,
    bins: int = 12_000,
    units: int = 40,
    kernel_length: int = 5,
    onset_probability: float = 0.25,
    mean_rate: float = 10.0,
    bin_width: float = 0.064,
    segment_bins: int = 400,
    seed: int = 0,
) -> list[SimulatedDay]:
    """Simulate reaching on several days, over which the neurons drift.

    The hand obeys the same law each day, with other commands. From a day to
    the next, what is known of each neuron changes by

    ```
    turnover  round(turnover units) neurons vanish; new ones take their place
    gain      r_c <- r_c exp(gain_drift g),       g ~ N(0, 1)
    tuning    phi_c <- phi_c + tuning_drift h,    h ~ N(0, 1)
    ```

    with `r_c` the rate at rest and `phi_c` the preferred direction. Neurons
    that stay keep their id, new ones get ids that nobody had. The first day
    holds the spikes and the velocity of `simulated_reaching`, to the bit.

    Args:
        days: Positive integer, number of days.
        turnover: Number in [0, 1], share of the neurons replaced overnight.
        gain_drift: Number from 0, deviation of the logarithm of the gain.
        tuning_drift: Number from 0, deviation of the rotation in radians.
        bins: As all that follow, as in `simulated_reaching`.
        units: Positive integer, number of neurons on each day.
        kernel_length: Positive integer, `L` in bins.
        onset_probability: Number in (0, 1].
        mean_rate: Mean firing rate at rest, in Hz.
        bin_width: Width of a bin in seconds.
        segment_bins: Positive integer, bins between two seams.
        seed: Integer, seeds everything. A day does not depend on how many
            follow it.

    Returns:
        A list of `SimulatedDay`: `recording`, and the `neurons` behind it.

    Raises:
        ValueError: An argument out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    first, second = ks.tasks.simulated_days(bins=500, units=5, turnover=0.4)
    print(first.recording.unit_ids)  # (0, 1, 2, 3, 4)
    print(len(set(first.recording.unit_ids) & set(second.recording.unit_ids)))
    # 3
    ```
    """
    days = check_positive_integer("days", days)
    if check_non_negative_number("turnover", turnover) > 1:
        raise ValueError(
            f"`turnover` must be in [0, 1]. Received: turnover={turnover}"
        )
    check_non_negative_number("gain_drift", gain_drift)
    check_non_negative_number("tuning_drift", tuning_drift)
    settings = _Settings(
        bins,
        units,
        kernel_length,
        onset_probability,
        mean_rate,
        bin_width,
        segment_bins,
    )
    found = [settings.first_day(seed).with_ids()]
    for day in range(1, days):
        rng = np.random.default_rng([seed, day])
        command = settings.command(rng)
        neurons = found[-1].neurons.drifted(
            rng,
            mean_rate,
            turnover,
            gain_drift,
            tuning_drift,
            first_id=max(max(day.neurons.unit_ids) for day in found) + 1,
        )
        found.append(settings.day(rng, command, neurons).with_ids())
    return found


@dataclasses.dataclass(frozen=True)
class _Settings:
    """The law of movement and the size of a day."""

    bins: int
    units: int
    kernel_length: int
    onset_probability: float
    mean_rate: float
    bin_width: float
    segment_bins: int

    def __post_init__(self) -> None:
        for name in ("bins", "units", "kernel_length", "segment_bins"):
            check_positive_integer(name, getattr(self, name))
        check_positive_number("mean_rate", self.mean_rate)
        check_bin_width(self.bin_width)
        name = "onset_probability"
        if check_positive_number(name, self.onset_probability) > 1:
            raise ValueError(
                "`onset_probability` must be in (0, 1]. "
                f"Received: onset_probability={self.onset_probability}"
            )

    def first_day(self, seed: int) -> SimulatedDay:
        rng = random_generator(seed)
        command = self.command(rng)
        neurons = SimulatedNeurons.draw(rng, self.units, self.mean_rate)
        return self.day(rng, command, neurons)

    def command(self, rng: np.random.Generator) -> np.ndarray:
        # The commands before the first bin still move the hand in it.
        bins = self.bins + self.kernel_length - 1
        onset = rng.random((bins, 1)) < self.onset_probability
        return onset * rng.normal(0.0, 2.0, size=(bins, 2))

    def day(
        self,
        rng: np.random.Generator,
        command: np.ndarray,
        neurons: SimulatedNeurons,
    ) -> SimulatedDay:
        """Draw the spikes of neurons, and move the hand."""
        length = self.kernel_length
        rate = neurons.rate(command[length - 1 :])
        spikes = rng.poisson(rate * self.bin_width)
        lag = (np.arange(length) + 0.5) / length
        kernel = 0.5 + 0.5 * np.sin(np.pi * lag)
        kernel *= 10.0 / np.sqrt(
            np.sum(kernel**2) * 4.0 * self.onset_probability
        )
        velocity = np.stack(
            [np.convolve(axis, kernel, mode="valid") for axis in command.T],
            axis=1,
        )
        recording = Recording(
            spikes=spikes,
            movement=velocity,
            segment=np.arange(self.bins) // self.segment_bins,
            bin_width=self.bin_width,
            quantity="velocity (cm/s)",
        )
        return SimulatedDay(recording, neurons)
