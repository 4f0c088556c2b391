"""CSV files as an app of a phone writes them, with the truth known."""

import numpy as np

CLASSES = ("rest", "walk")
RATES = {"acc": 100.0, "gyro": 50.0}
SWITCH = 6.0
LENGTH = 12.0


def signal(channel, times):
    """What truly moved: a sine of each channel's own phase, 1.5 Hz."""
    return np.sin(2 * np.pi * 1.5 * times + channel)


def moved(channel, times):
    """The same, of which a third is left at rest."""
    size = np.where(times < SWITCH, 1 / 3, 1.0)
    return size * signal(channel, times)


def label(times):
    return np.where(times < SWITCH, *CLASSES)


def write_phone_files(
    folder, people=4, seed=0, labelled=True, first=0, what=signal
):
    """Two files a person: `<name>_acc.csv` and `<name>_gyro.csv`.

    Stamps are whole milliseconds with jitter of a tenth of a step, words have
    blanks, and there are blank lines at the end.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(first, first + people)]
    for name in names:
        for sensor, rate in RATES.items():
            times = np.arange(int(LENGTH * rate)) / rate
            times = times + rng.uniform(-0.1, 0.1, len(times)) / rate
            times = np.maximum(np.round(times, 3), 0)
            channel = 0 if sensor == "acc" else 3
            told = labelled and sensor == "acc"
            rows = [
                ",".join(
                    [
                        str(round(1000 * t)),
                        *(f"{what(channel + i, t):.6f}" for i in range(3)),
                        f"{label(t)} ",
                    ][: 5 if told else 4]
                )
                for t in times
            ]
            header = ",".join(["t_ms", *(f"{sensor}_{a}" for a in "xyz")])
            header += ",label" * told
            path = folder / f"{name}_{sensor}.csv"
            path.write_text("\n".join([header, *rows, "", "\n"]))
    return names
