"""Opportunity in its original text files, for tests."""

import pathlib
import zipfile

import numpy as np

from keras_seqattn.datasets.opportunity_gestures import reader
from keras_seqattn.datasets.opportunity_gestures import recordings

INNER = "OpportunityUCIDataset/dataset"
# In every column that must not be read.
JUNK = 99_999
LOCOMOTION, GESTURES = 243, 249


def make_table(samples, seed=0):
    """Return a recording as it is in the file: (samples, 250)."""
    rng = np.random.default_rng(seed)
    table = np.full((samples, recordings.COLUMNS), JUNK, dtype=np.float64)
    table[:, 0] = np.round(np.arange(samples) * 1000 / 30)
    # Every sensor has its own offset, and some values out of its range.
    low, high = recordings.RANGES.T
    shape = (samples, len(recordings.SENSORS))
    table[:, recordings.SENSORS] = np.round(
        rng.uniform(1.1 * low, 1.1 * high, shape)
    )
    for column, task in ((LOCOMOTION, "locomotion"), (GESTURES, "gestures")):
        codes = [*recordings.TASKS[task][1]]
        # In stretches of seven samples.
        table[:, column] = np.repeat(
            rng.choice(codes, size=samples // 7 + 1), 7
        )[:samples]
    return table


def to_text(table):
    return "".join(
        " ".join("NaN" if np.isnan(x) else f"{x:.0f}" for x in row) + "\n"
        for row in table
    )


def write_opportunity(folder, tables):
    """Write tables, a name to each, to `folder/OpportunityUCIDataset/...`."""
    inner = pathlib.Path(folder) / INNER
    inner.mkdir(parents=True)
    for name, table in tables.items():
        (inner / f"{name}.dat").write_text(to_text(table))
    (inner / "column_names.txt").write_text("Column: 1 MILLISEC\n")
    return inner


def make_all(samples=60):
    """Return tables of all recordings, each of another length."""
    names = [name for part in reader.RECORDINGS.values() for name in part]
    return {
        name: make_table(samples + number, seed=number)
        for number, name in enumerate(names)
    }


def zip_files(folder, archive):
    """Pack a folder's files; the archive must lie outside of it."""
    folder, archive = pathlib.Path(folder), pathlib.Path(archive)
    assert folder.resolve() not in archive.resolve().parents
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, path.relative_to(folder))
    return archive
