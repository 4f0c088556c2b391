"""Simulated reaching: spikes and velocity with a known window length."""

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_bin_width


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
    bins = check_positive_integer("bins", bins)
    units = check_positive_integer("units", units)
    kernel_length = check_positive_integer("kernel_length", kernel_length)
    segment_bins = check_positive_integer("segment_bins", segment_bins)
    check_positive_number("mean_rate", mean_rate)
    bin_width = check_bin_width(bin_width)
    if check_positive_number("onset_probability", onset_probability) > 1:
        raise ValueError(
            "`onset_probability` must be in (0, 1]. "
            f"Received: onset_probability={onset_probability}"
        )
    rng = np.random.default_rng(seed)

    # The commands before the first bin still move the hand in it.
    warm_up = kernel_length - 1
    onset = rng.random((bins + warm_up, 1)) < onset_probability
    command = onset * rng.normal(0.0, 2.0, size=(bins + warm_up, 2))

    angle = rng.uniform(0, 2 * np.pi, units)
    preferred = np.stack([np.cos(angle), np.sin(angle)])
    modulation = rng.uniform(0.4, 0.9, units)
    rest_rate = rng.lognormal(-(0.8**2) / 2, 0.8, units) * mean_rate
    # A neuron does not fire faster than about once in 5 ms.
    rate = np.minimum(
        rest_rate * np.exp(modulation * (command[warm_up:] @ preferred)), 200.0
    )
    spikes = rng.poisson(rate * bin_width)

    lag = (np.arange(kernel_length) + 0.5) / kernel_length
    kernel = 0.5 + 0.5 * np.sin(np.pi * lag)
    kernel *= 10.0 / np.sqrt(np.sum(kernel**2) * 4.0 * onset_probability)
    velocity = np.stack(
        [np.convolve(axis, kernel, mode="valid") for axis in command.T], axis=1
    )
    return Recording(
        spikes=spikes,
        movement=velocity,
        segment=np.arange(bins) // segment_bins,
        bin_width=bin_width,
        quantity="velocity (cm/s)",
    )
