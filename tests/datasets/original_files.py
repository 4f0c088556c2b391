"""The published files of the sets, small, with planted values."""

import zipfile

import numpy as np

# Of the published files, by hand, in their order.
UCI_HAR_CLASSES = (
    "WALKING",
    "WALKING_UPSTAIRS",
    "WALKING_DOWNSTAIRS",
    "SITTING",
    "STANDING",
    "LAYING",
)
UCI_HAR_CHANNELS = (
    *("body_acc_x", "body_acc_y", "body_acc_z"),
    *("body_gyro_x", "body_gyro_y", "body_gyro_z"),
    *("total_acc_x", "total_acc_y", "total_acc_z"),
)
SMARTWATCH_CHANNELS = (
    *("x_acc", "y_acc", "z_acc"),
    *("x_gyro", "y_gyro", "z_gyro"),
)
SMARTWATCH_CLASSES = (
    "SEATED",
    "STANDING_UP",
    "WALKING",
    "TURNING",
    "SITTING_DOWN",
)


def uci_har_arrays(windows=36, timesteps=16, subjects=6, seed=0):
    """For each split windows (windows, timesteps, 9), labels, subjects."""
    rng = np.random.default_rng(seed)
    y = np.arange(windows) % 6
    subject = np.arange(windows) * subjects // windows + 1
    # Three decimals, so that the text holds them exactly.
    x = {
        split: np.round(
            rng.normal(size=(windows, timesteps, 9)) + y[:, None, None], 3
        ).astype("float32")
        for split in ("train", "test")
    }
    return {
        "train": (x["train"], y, subject),
        "test": (x["test"], y, subject + subjects),
    }


def write_uci_har(root, arrays=None):
    """Write the folder `root`; return what is in it."""
    arrays = arrays or uci_har_arrays()
    root.mkdir(parents=True)
    (root / "activity_labels.txt").write_text(
        "".join(f"{i} {name}\n" for i, name in enumerate(UCI_HAR_CLASSES, 1))
    )
    for split, (x, y, subject) in arrays.items():
        folder = root / split / "Inertial Signals"
        folder.mkdir(parents=True)
        for channel, name in enumerate(UCI_HAR_CHANNELS):
            # Width 16, an exponent of three digits, one or two blanks.
            (folder / f"{name}_{split}.txt").write_text(
                "".join(
                    "".join(f"{exponent(value):>16}" for value in row) + "\n"
                    for row in x[:, :, channel]
                )
            )
        for name, values in {"y": y + 1, "subject": subject}.items():
            (root / split / f"{name}_{split}.txt").write_text(
                "".join(f"{value}\n" for value in values)
            )
    return arrays


def exponent(value):
    mantissa, power = f"{value:.7e}".split("e")
    return f"{mantissa}e{power[0]}{int(power[1:]):03d}"


def smartwatch_recordings(seed=0):
    """Recordings: subject, execution, signal, labels and milliseconds."""
    rng = np.random.default_rng(seed)
    recordings = []
    for subject, execution, samples in ((1, 1, 260), (1, 2, 210), (12, 1, 330)):
        # About 100 Hz; some samples come late and together.
        time = 1657533977810 + 10 * np.arange(samples) + rng.integers(0, 9)
        time[50:53] = time[53] - 1
        recordings.append(
            (
                subject,
                execution,
                rng.normal(size=(samples, 6)).astype("float32"),
                np.sort(rng.integers(0, 5, samples)),
                time,
            )
        )
    return recordings


def write_smartwatch_har(root, recordings=None):
    """Write the folder `root/DATA`; return what is in it."""
    recordings = recordings or smartwatch_recordings()
    header = ",".join([*SMARTWATCH_CHANNELS, "timestamp", "label"])
    for subject, execution, signal, label, time in recordings:
        name = f"s{subject:02d}"
        folder = root / "DATA" / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            ",".join(
                [
                    *(repr(float(value)) for value in values),
                    str(int(stamp)),
                    SMARTWATCH_CLASSES[index],
                ]
            )
            for values, index, stamp in zip(signal, label, time, strict=True)
        ]
        # The phone's recordings lie beside, and are not to be read.
        for device, lines in (("sw", rows), ("sp", rows[:-1])):
            file = folder / f"{name}_{execution:02d}_{device}.csv"
            file.write_text("\n".join([header, *lines]) + "\n")
    (root / "DATA" / "subjects_info.csv").write_text("id,age\ns01,30\n")
    return recordings


def zip_folder(folder, path, **replaced):
    """Zip a folder with its name, and what macOS adds to it.

    `replaced` are texts for files, by their names without the ending.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = str(file.relative_to(folder.parent).as_posix())
                text = replaced.get(file.stem, file.read_bytes())
                archive.writestr(name, text)
                archive.writestr(f"__MACOSX/{name}", "not the file")
    return path
