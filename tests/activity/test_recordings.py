import bz2
import gzip
import lzma

import numpy as np
import pytest

from keras_seqattn.activity import load_recordings
from keras_seqattn.activity import read_recordings
from tests.activity import phone_files

PERSON = r"(p\d)_\w+\.csv"


@pytest.mark.parametrize("rate", [None, 50, 40, 100])
def test_phone_files_against_the_truth(tmp_path, rate):
    names = phone_files.write_phone_files(tmp_path)
    found = read_recordings(tmp_path, subject_from=PERSON, rate=rate)
    assert [recording.subject for recording in found] == names
    for recording in found:
        assert recording.rate == (rate or 50)
        assert recording.clock.rates == pytest.approx((100, 50), rel=1e-3)
        assert recording.clock.seams == 0
        assert recording.clock.interpolated == 0
        assert recording.channels == (
            "acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z",
        )  # fmt: skip
        times = recording.times
        assert np.ptp(np.diff(times)) < 1e-9
        truth = phone_files.signal(np.arange(6), times[:, None])
        inside = slice(30, -30)
        assert np.abs(recording.signal - truth)[inside].max() < 0.05
        far = np.abs(times - phone_files.SWITCH) > 0.02
        assert (recording.label == phone_files.label(times))[far].all()
    windows = load_recordings(
        tmp_path, subject_from=PERSON, rate=rate, seconds=2, overlap=0
    )
    assert windows.classes == phone_files.CLASSES
    assert windows.x.shape[1:] == (2 * (rate or 50), 6)


ROWS = [
    (i / 20, i % 7 + 0.5, "ruhig" if i < 40 else "gehen") for i in range(80)
]


def text(separator=",", decimal=".", end="\n", name="ax"):
    lines = [separator.join(["time", name, "subject", "label"])]
    for time, value, word in ROWS:
        cells = [f"{time}", f"{value}"]
        cells = [cell.replace(".", decimal) for cell in cells]
        lines.append(separator.join([*cells, "1", word]))
    return "\n".join(lines) + end


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", text().encode()),
        ("a.csv", text().encode("utf-8-sig")),
        ("a.csv", text().encode("utf-16")),
        ("a.csv", text().encode("utf-16-le")),
        ("a.csv", text(name="Größe (m/s²)").encode("latin-1")),
        ("A.CSV", text(";", ",").encode()),
        ("a.csv", text("\t", ",").encode()),
        ("a.csv", text(end="\n\n\n,,,\n\n").encode()),
        ("a.csv", text().replace("\n", "\r\n").encode()),
        ("a.csv", ("\n\n" + text()).encode()),
        ("a.csv", text().replace("\n", ",\n").encode()),
        ("a.csv.gz", gzip.compress(text().encode())),
        ("a.csv.bz2", bz2.compress(text().encode())),
        ("a.csv.xz", lzma.compress(text().encode())),
    ],
)
def test_csv_of_all_kinds(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = load_recordings(tmp_path / name, overlap=0)
    assert found.rate == 20 and found.classes == ("gehen", "ruhig")
    assert found.y.tolist() == [1, 1, 0, 0] and set(found.subject) == {1}
    np.testing.assert_allclose(found.x.ravel(), [row[1] for row in ROWS])


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("\n0.25,5.5,", "\n0.25,,", r"'ax' of .*a\.csv.*empty cell in row 7"),
        ("\n0.25,5.5,", "\n0.25,high,", r"'ax' of .*'high' in row 7"),
        ("\n0.25,5.5,", "\n0.25,inf,", r"'ax' of .*'inf' in row 7"),
        ("\n0.25,5.5,1,", "\n0.25,5.5,,", "empty cell in row 7"),
        ("\n0.25,5.5,1,", "\n0.25,5.5,1,x,", "line 7"),
        ("time,", "clock,", "lacks a column of time. Name it"),
    ],
)
def test_messages_name_file_and_row(tmp_path, old, new, message):
    changed = text().replace(old, new)
    (tmp_path / "a.csv").write_text(changed)
    with pytest.raises(ValueError, match=message):
        load_recordings(tmp_path / "a.csv")


def test_epoch_milliseconds_and_units():
    pd = pytest.importorskip("pandas")
    n = np.arange(200)
    frame = pd.DataFrame({"time": 1_700_000_000_000 + 20 * n, "ax": n})
    with pytest.raises(ValueError, match=r"give `time_unit=` \('ms'\)"):
        read_recordings(frame)
    (found,) = read_recordings(frame, time_unit="ms")
    assert found.rate == 50
    frame["time"] = pd.to_datetime(frame["time"], unit="ms")
    (dates,) = read_recordings(frame)
    np.testing.assert_allclose(dates.times, found.times)
    np.testing.assert_array_equal(dates.signal[:, 0], n)


def test_intervals_label_a_recording():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"time": np.arange(100) / 10, "ax": np.arange(100)})
    spans = pd.DataFrame(
        {"start": [0, 5], "stop": [5, 8], "label": ["rest", "walk"]}
    )
    (found,) = read_recordings(frame, label=spans)
    assert found.label.tolist() == ["rest"] * 50 + ["walk"] * 30 + [""] * 20
    spans.loc[1, ["start", "stop"]] = [50, 60]
    with pytest.raises(ValueError, match="'walk' from 50 to 60 s"):
        read_recordings(frame, label=spans)
