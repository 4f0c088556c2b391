import logging

import numpy as np
import pytest

from keras_seqattn import datasets
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.datasets.opportunity_gestures import reader
from keras_seqattn.datasets.opportunity_gestures import recordings
from tests.datasets import opportunity_files as files

QUATERNIONS = [
    *(*range(46, 50), *range(59, 63), *range(72, 76)),
    *(*range(85, 89), *range(98, 102)),
]
NAME = "S1-ADL1"


def read(folder, table, task="gestures", scaling="range"):
    files.write_opportunity(folder, {NAME: table})
    with FileTree(folder) as tree:
        return recordings.read_recording(tree, NAME, task, scaling)


def in_range(values, column):
    """A value's place in its sensor's range, by hand."""
    low, high = recordings.RANGES[recordings.SENSORS.index(column)]
    share = (np.asarray(values, "float32") - low) / (high - low)
    return np.where(share > 1, np.float32(0.99), np.maximum(share, 0))


def test_columns():
    kept = [c for c in range(1, 134) if c not in QUATERNIONS]
    assert [*recordings.SENSORS] == kept
    assert len(kept) == len(recordings.RANGES) == 113
    # Limits of the last value of each group of sensors.
    for column, limits in {
        36: (-3000, 3000),
        39: (-3000, 3000),
        42: (-10_000, 10_000),
        45: (-1000, 1500),
        97: (-1000, 1500),
        102: (-250, 250),
        103: (-100, 25),
        104: (-200, 200),
        110: (-5000, 5000),
        116: (-10_000, 10_000),
        117: (-250, 250),
        118: (-250, 250),
        133: (-250, 250),
    }.items():
        index = recordings.SENSORS.index(column)
        assert tuple(recordings.RANGES[index]) == limits


# Of the published legend, by hand, in the order of the classes.
GESTURES = {
    0: "null",
    406516: "Open Door 1",
    406517: "Open Door 2",
    404516: "Close Door 1",
    404517: "Close Door 2",
    406520: "Open Fridge",
    404520: "Close Fridge",
    406505: "Open Dishwasher",
    404505: "Close Dishwasher",
    406519: "Open Drawer 1",
    404519: "Close Drawer 1",
    406511: "Open Drawer 2",
    404511: "Close Drawer 2",
    406508: "Open Drawer 3",
    404508: "Close Drawer 3",
    408512: "Clean Table",
    407521: "Drink from Cup",
    405506: "Toggle Switch",
}
LOCOMOTION = {0: "null", 1: "Stand", 2: "Walk", 4: "Sit", 5: "Lie"}


@pytest.mark.parametrize(
    "task, column, codes",
    [("gestures", 249, GESTURES), ("locomotion", 243, LOCOMOTION)],
)
def test_every_code_is_its_class(tmp_path, task, column, codes):
    table = files.make_table(len(codes))
    table[:, column] = [*codes]
    _, label = read(tmp_path, table, task)
    assert label.tolist() == [*range(len(codes))]
    names = recordings.TASKS[task][1]
    assert [*names.values()] == [*codes.values()]


def test_signal_and_labels(tmp_path):
    table = files.make_table(40)
    table[5, files.GESTURES] = 405506
    table[6, files.GESTURES] = 406516
    table[7, files.LOCOMOTION] = 5
    signal, label = read(tmp_path / "gestures", table)
    assert signal.dtype == np.float32 and label.dtype == np.int64
    assert signal.shape == (40, 113)
    for index, column in enumerate(recordings.SENSORS):
        np.testing.assert_allclose(
            signal[:, index], in_range(table[:, column], column), atol=1e-6
        )
    assert (signal == np.float32(0.99)).sum() > 100
    assert (signal == 0).sum() > 100
    assert signal.min() == 0 and signal.max() <= 1
    codes = [*recordings.TASKS["gestures"][1]]
    np.testing.assert_array_equal(
        np.array(codes)[label], table[:, files.GESTURES]
    )
    assert (label[5], label[6]) == (17, 1)
    _, label = read(tmp_path / "locomotion", table, "locomotion")
    assert label[7] == 4
    np.testing.assert_array_equal(
        np.array([0, 1, 2, 4, 5])[label], table[:, files.LOCOMOTION]
    )


def test_zscore(tmp_path):
    table = files.make_table(50)
    table[:, recordings.SENSORS[3]] = 17  # never changes
    signal, _ = read(tmp_path, table, scaling="zscore")
    values = table[:, recordings.SENSORS]
    expected = (values - values.mean(0)) / (2 * (values.std(0) + 1e-6))
    np.testing.assert_allclose(signal, expected, atol=1e-5)
    np.testing.assert_allclose(np.delete(signal.std(axis=0), 3), 0.5, rtol=1e-4)
    assert (signal[:, 3] == 0).all()


def test_missing_values(tmp_path, caplog):
    table = files.make_table(12)
    first, second, dead = (recordings.SENSORS[i] for i in (0, 50, 100))
    # At the beginning, within (of two lengths), and at the end.
    table[:, first] = [100, 0, 30, 60, 0, 0, 120, 7, 8, 9, 0, 0]
    table[[0, 1, 4, 5, 10, 11], first] = np.nan
    table[:, second] = 5
    table[3, second] = np.nan
    table[:, dead] = np.nan
    with caplog.at_level(logging.WARNING):
        signal, _ = read(tmp_path / "range", table)
    filled = [0, 0, 30, 60, 80, 100, 120, 7, 8, 9, 9, 9]
    np.testing.assert_allclose(signal[:, 0], in_range(filled, first), atol=1e-6)
    np.testing.assert_allclose(
        signal[:, 50], in_range([5] * 12, second), atol=1e-6
    )
    np.testing.assert_allclose(
        signal[:, 100], in_range([0] * 12, dead), atol=1e-6
    )
    assert f"no value in the columns [{dead + 1}]" in caplog.text
    signal, _ = read(tmp_path / "zscore", table, scaling="zscore")
    assert np.isfinite(signal).all()
    assert (signal[:, 100] == 0).all()
    centred = np.array(filled) - np.mean(filled)
    np.testing.assert_allclose(
        signal[:, 0], centred / (2 * np.std(filled)), atol=1e-5
    )


@pytest.fixture(scope="module")
def tables():
    return files.make_all()


@pytest.fixture(scope="module")
def folder(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("opportunity")
    files.write_opportunity(folder, tables)
    return folder


def whole(folder, name, **options):
    with FileTree(folder) as tree:
        return recordings.read_recording(
            tree, name, **{"task": "gestures", "scaling": "range", **options}
        )


@pytest.mark.parametrize("timesteps, stride", [(24, 12), (8, 90)])
def test_windows_lie_in_one_recording(folder, tables, timesteps, stride):
    options = {"timesteps": timesteps, "stride": stride}
    found = [*reader.read_examples(folder, "test", **options)]
    assert [number for number, _ in found] == [*range(len(found))]
    examples = iter(found)
    for name in ("S2-ADL4", "S2-ADL5", "S3-ADL4", "S3-ADL5"):
        signal, label = whole(folder, name)
        assert len(signal) == len(tables[name])
        for start in range(0, len(signal) - timesteps + 1, stride):
            _, example = next(examples)
            end = start + timesteps
            np.testing.assert_array_equal(example["signal"], signal[start:end])
            assert example["label"] == label[end - 1]
            assert example["subject"] == int(name[1])
    assert next(examples, None) is None


@pytest.mark.parametrize("timesteps, stride", [(24, 12), (10, 3), (8, 70)])
def test_windows_across_recordings(folder, timesteps, stride):
    """As published: the recordings of a split are one signal."""
    names = reader.RECORDINGS["train"]
    parts = [whole(folder, name, scaling="zscore") for name in names]
    signal = np.concatenate([signal for signal, _ in parts])
    label = np.concatenate([label for _, label in parts])
    subject = np.repeat(
        [int(name[1]) for name in names], [len(s) for s, _ in parts]
    )
    found = [
        example
        for _, example in reader.read_examples(
            folder,
            "train",
            scaling="zscore",
            across_files=True,
            timesteps=timesteps,
            stride=stride,
        )
    ]
    assert len(found) == (len(signal) - timesteps) // stride + 1
    for number, example in enumerate(found):
        end = number * stride + timesteps
        np.testing.assert_array_equal(
            example["signal"], signal[end - timesteps : end]
        )
        assert example["label"] == label[end - 1]
        assert example["subject"] == subject[end - 1]


def test_published_parts():
    assert len(reader.RECORDINGS["train"]) == 14
    assert len(reader.RECORDINGS["test"]) == 4
    assert not set(reader.RECORDINGS["train"]) & set(reader.RECORDINGS["test"])


@pytest.mark.parametrize(
    "split, samples, windows",
    [("train", 557_963, 46_495), ("test", 118_750, 9_894)],
)
def test_published_counts(folder, monkeypatch, caplog, split, samples, windows):
    """Of as many samples as published, the published windows."""
    left = [samples]

    def read_recording(tree, name, task, scaling):
        # All but the last recording are equally long.
        last = name == reader.RECORDINGS[split][-1]
        size = left[0] if last else samples // len(reader.RECORDINGS[split])
        left[0] -= size
        return np.zeros((size, 113), "float32"), np.zeros(size, "int64")

    monkeypatch.setattr(reader, "read_recording", read_recording)
    examples = reader.read_examples(folder, split, across_files=True)
    assert sum(1 for _ in examples) == windows
    assert not caplog.text


def test_a_part_cut_short_is_noticed(folder, tables, caplog):
    [*reader.read_examples(folder, "test")]
    samples = sum(len(tables[name]) for name in reader.RECORDINGS["test"])
    assert f"has 118750 samples, this one {samples}. Is it cut" in caplog.text


def test_folder_archive_and_archive_in_an_archive(folder, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = files.zip_files(folder, inner / "OpportunityUCIDataset.zip")
    outer = files.zip_files(inner, tmp_path / "outer.zip")
    loaded = [
        datasets.load(
            "opportunity_gestures",
            "test",
            path=path,
            config="locomotion_zscore",
        )
        for path in (folder, archive, outer)
    ]
    assert set(loaded[0]) == {"signal", "label", "subject"}
    assert loaded[0]["signal"].shape == (20, 24, 113)
    assert np.unique(loaded[0]["label"]).tolist() == [0, 1, 2, 3, 4]
    assert np.unique(loaded[0]["subject"]).tolist() == [2, 3]
    for other in loaded[1:]:
        for name, values in loaded[0].items():
            np.testing.assert_array_equal(other[name], values)


def test_configurations():
    assert [*reader.CONFIGS] == [
        "gestures_range",
        "gestures_zscore",
        "locomotion_range",
        "locomotion_zscore",
        "gestures_range_across_files",
        "gestures_zscore_across_files",
        "locomotion_range_across_files",
        "locomotion_zscore_across_files",
    ]


def change(table, row, column, value):
    table[row, column] = value
    return files.to_text(table)


def cut(table):
    return files.to_text(table)[:-100]


def one_more(table):
    lines = files.to_text(table).splitlines()
    lines[6] += " 5"
    return "\n".join(lines)


def no_number(table):
    return files.to_text(table).replace("99999", "hello", 1)


def in_a_read_column(table):
    table[4, 7] = 31337
    return files.to_text(table).replace("31337", "hello", 1)


def mixed_rates(table):
    table[20:, 0] = table[20, 0] + 2 * (table[20:, 0] - table[20, 0])
    return files.to_text(table)


def all_nan(table):
    table[:, recordings.SENSORS] = np.nan
    return files.to_text(table)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (cut, r"S1-ADL1.dat' must hold 250 numbers.*Received: \d+ in row 40"),
        (lambda table: "", "must hold 250 numbers .* 0 in row 1"),
        (lambda table: "1 2 3\n", "must hold 250 numbers .* 3 in row 1"),
        (one_more, "must hold 250 numbers .* 251 in row 7"),
        (in_a_read_column, "must hold 250 numbers.*hello"),
        (
            lambda table: change(table, 9, files.GESTURES, 406999),
            "Column 250 of .* 406999.* in row 10",
        ),
        (
            lambda table: change(table, 9, files.GESTURES, np.nan),
            "Column 250 of .* nan in row 10",
        ),
        (lambda table: change(table, 9, 5, np.inf), "infinite"),
        (mixed_rates, "33.3 ms apart.* 19 of 39 steps"),
        (lambda table: change(table, slice(None), 0, np.nan), "39 of 39 steps"),
        (all_nan, "no value of any sensor"),
    ],
)
def test_bad_recordings(tmp_path, spoil, message):
    inner = files.write_opportunity(tmp_path, {})
    with np.errstate(invalid="ignore"):
        text = spoil(files.make_table(40))
    (inner / f"{NAME}.dat").write_text(text)
    with FileTree(tmp_path) as tree, pytest.raises(ValueError, match=message):
        recordings.read_recording(tree, NAME, "gestures", "range")


def test_columns_that_are_not_read_may_hold_anything(tmp_path):
    inner = files.write_opportunity(tmp_path, {})
    table = files.make_table(30)
    (inner / f"{NAME}.dat").write_text(no_number(table))
    with FileTree(tmp_path) as tree:
        signal, _ = recordings.read_recording(tree, NAME, "gestures", "range")
    assert signal.shape == (30, 113)


def test_missing_and_short_recordings(folder, tmp_path):
    files.write_opportunity(tmp_path, {"S2-ADL4": files.make_table(30)})
    with pytest.raises(FileNotFoundError, match=r"S2-ADL5\.dat"):
        [*reader.read_examples(tmp_path, "test")]
    with pytest.raises(ValueError, match=r"S2-ADL4.*shorter than .* 31 sam"):
        [*reader.read_examples(tmp_path, "test", timesteps=31)]


@pytest.mark.parametrize("share", (0.5, 0.99))
def test_cut_off_archives(folder, tmp_path, share):
    archive = files.zip_files(folder, tmp_path / "archive.zip")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="neither a folder nor a complete zip"):
        [*reader.read_examples(archive, "test")]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "validation"}, "`split` must be one of"),
        ({"task": "gesture"}, "`task` must be one of"),
        ({"scaling": None}, "`scaling` must be one of"),
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"stride": 1.5}, "`stride` must be a positive integer"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(ValueError, match=message):
        [*reader.read_examples(folder, **{"split": "test", **options})]
