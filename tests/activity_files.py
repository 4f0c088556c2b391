"""UCI HAR's folder, small, in the form of the original."""

import numpy as np

NAMES = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS")
NAMES += ("SITTING", "STANDING", "LAYING")


def write_ucihar(root, windows=36, timesteps=16, subjects=6, seed=0):
    """Write both parts; return the arrays of the training part."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True)
    (root / "activity_labels.txt").write_text(
        "".join(f"{i} {name}\n" for i, name in enumerate(NAMES, 1))
    )
    written = {}
    for part in ("train", "test"):
        folder = root / part / "Inertial Signals"
        folder.mkdir(parents=True)
        y = np.arange(windows) % 6
        subject = np.arange(windows) * subjects // windows + 1
        if part == "test":
            subject += subjects
        x = rng.normal(size=(windows, timesteps, 9)) + y[:, None, None]
        x = x.astype("float32")
        for channel in range(9):
            signal = ("body_acc", "body_gyro", "total_acc")[channel // 3]
            name = f"{signal}_{'xyz'[channel % 3]}_{part}.txt"
            # Width 16, an exponent of three digits, one or two blanks.
            (folder / name).write_text(
                "".join(
                    "".join(f"{exponent(value):>16}" for value in row) + "\n"
                    for row in x[:, :, channel]
                )
            )
        lines = {"y": y + 1, "subject": subject}
        for name, values in lines.items():
            (root / part / f"{name}_{part}.txt").write_text(
                "".join(f"{value}\n" for value in values)
            )
        written[part] = (x, y, subject)
    return written


def exponent(value):
    mantissa, power = f"{value:.7e}".split("e")
    return f"{mantissa}e{power[0]}{int(power[1:]):03d}"
