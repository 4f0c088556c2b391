"""CSV files as an app of a phone writes them, with the truth known."""

import numpy as np

CLASSES = ("rest", "walk")
RATES = {"acc": 100.0, "gyro": 50.0}
SWITCH = 6.0
LENGTH = 12.0


def signal(channel, times):
    """What truly moved: a sine of each channel's own phase, 1.5 Hz."""
    return np.sin(2 * np.pi * 1.5 * times + channel)


def label(times):
    return np.where(times < SWITCH, *CLASSES)


def write_phone_files(folder, people=4, seed=0):
    """Two files a person: `<name>_acc.csv` and `<name>_gyro.csv`.

    Stamps are whole milliseconds with jitter of a tenth of a step, words have
    blanks, and there are blank lines at the end.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(people)]
    for name in names:
        for sensor, rate in RATES.items():
            times = np.arange(int(LENGTH * rate)) / rate
            times = times + rng.uniform(-0.1, 0.1, len(times)) / rate
            times = np.maximum(np.round(times, 3), 0)
            first = 0 if sensor == "acc" else 3
            rows = [
                ",".join(
                    [
                        str(round(1000 * t)),
                        *(f"{signal(first + i, t):.6f}" for i in range(3)),
                        f"{label(t)} " if sensor == "acc" else "",
                    ][: 5 if sensor == "acc" else 4]
                )
                for t in times
            ]
            header = ",".join(["t_ms", *(f"{sensor}_{a}" for a in "xyz")])
            header += ",label" if sensor == "acc" else ""
            path = folder / f"{name}_{sensor}.csv"
            path.write_text("\n".join([header, *rows, "", "\n"]))
    return names
