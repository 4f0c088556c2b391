import bz2
import gzip
import io
import lzma
import zipfile

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


def text(separator=",", decimal=".", end="\n", name="ax", rows=ROWS):
    lines = [separator.join(["time", name, "subject", "label"])]
    for time, value, word in rows:
        cells = [f"{time}", f"{value}"]
        cells = [cell.replace(".", decimal) for cell in cells]
        lines.append(separator.join([*cells, "1", word]))
    return "\n".join(lines) + end


def numbered(content, first):
    """As `write.csv` of R, and a part of a frame, have it."""
    head, *rows = content.splitlines()
    return "\n".join(
        [f",{head}", *(f"{first + i},{r}" for i, r in enumerate(rows))]
    )


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.csv", content)
    return file.getvalue()


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
        ("a.csv.zip", zipped(text().encode())),
        ("a.csv", text(rows=ROWS[::-1]).encode()),
        ("a.csv", numbered(text(), 1).encode()),
        ("a.csv", numbered(text(), 500).encode()),
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
    long = spans.assign(start=[0, 500], stop=[500, 800])
    (slow,) = read_recordings(
        frame.assign(time=frame["time"] * 100), label=long, time_unit="s"
    )
    assert slow.label.tolist() == found.label.tolist()
    spans.loc[1, ["start", "stop"]] = [50, 60]
    with pytest.raises(ValueError, match="'walk' from 50 to 60 s"):
        read_recordings(frame, label=spans)


def test_units_that_cannot_be():
    pd = pytest.importorskip("pandas")
    n = np.arange(100)
    for column, unit in (("t_ms", None), ("time", "ns"), ("time", "ms")):
        frame = pd.DataFrame({column: n / 50, "ax": n})
        with pytest.raises(ValueError, match=r"`time_unit=` \('s'\)"):
            read_recordings(frame, time_unit=unit, rate=50)
    (found,) = read_recordings(frame)
    assert found.rate == 50
    # What is told is believed: long steps, many clocks that begin at 0.
    slow = pd.DataFrame({"time_s": 5.0 * n, "ax": n})
    assert read_recordings(slow)[0].rate == pytest.approx(0.2)
    many = pd.concat(
        [
            pd.DataFrame({"time": n / 50, "ax": n, "subject": i})
            for i in range(99)
        ]
    )
    found = read_recordings(many, time_unit="s")
    assert len(found) == 99 and {one.rate for one in found} == {50}


def test_columns_of_other_kinds_are_told():
    pd = pytest.importorskip("pandas")
    n = np.arange(100)
    frame = pd.DataFrame(
        {"time": n / 10, "ax": n, "note": ["-", *"3" * 9] * 10}
    )
    frame["note"] = ["3"] * 20 + ["none here"] * 80
    with pytest.warns(UserWarning, match=r"left out: \['note'\]"):
        (found,) = read_recordings(frame)
    assert found.channels == ("ax",)
    frame["note"] = 1j * n
    with pytest.raises(ValueError, match=r"'note' .* finite numbers"):
        read_recordings(frame)


def test_a_damaged_file_is_named(tmp_path):
    content = bytearray(bz2.compress(text().encode()))
    content[30] ^= 255
    (tmp_path / "a.csv.bz2").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv\.bz2' cannot be unpacked"):
        read_recordings(tmp_path / "a.csv.bz2")


@pytest.mark.parametrize("how", ["column", "empty cells", "path"])
def test_two_sensors_of_equal_columns(tmp_path, how):
    """Accelerometer at 100 Hz, gyroscope at 50 Hz, `x` of both a ramp."""
    pd = pytest.importorskip("pandas")
    acc = pd.DataFrame({"time": np.arange(400) / 100})
    gyro = pd.DataFrame({"time": np.arange(200) / 50 + 0.003})
    acc["x"], gyro["x"] = acc["time"], -gyro["time"]
    if how == "path":
        acc.to_csv(tmp_path / "anna_acc.csv")
        gyro.to_csv(tmp_path / "anna_gyro.csv")
        with pytest.raises(ValueError, match="equal names of columns"):
            read_recordings(tmp_path, columns={"x": "x"})
        source, sensor = tmp_path, r"_(\w+)\.csv"
    elif how == "column":
        source = pd.concat([acc.assign(of="acc"), gyro.assign(of="gyro")])
        source, sensor = source.sort_values("time"), "of"
    else:
        acc, gyro = (f.rename(columns={"x": n}) for f, n in (
            (acc, "acc_x"), (gyro, "gyro_x")
        ))  # fmt: skip
        source, sensor = pd.concat([acc, gyro]).sort_values("time"), None
    columns = {"x": "x"} if sensor else None
    (found,) = read_recordings(source, sensor=sensor, columns=columns)
    assert found.channels == ("acc_x", "gyro_x") and found.rate == 50
    ramp = found.times[:, None] * [1, -1]
    inside = slice(10, -10)  # The low-pass reaches over the ends.
    np.testing.assert_allclose(found.signal[inside], ramp[inside], atol=2e-3)


def test_a_person_is_at_one_place_at_a_time():
    pd = pytest.importorskip("pandas")
    n = np.arange(100)
    frames = [
        pd.DataFrame({"time": start + n / 50, "ax": n})
        for start in (1_700_000_000, 1_700_000_000.5, 1_700_000_001.98)
    ]
    with pytest.raises(ValueError, match="equal names of columns"):
        read_recordings(frames[:2])
    # The next file begins with the last sample of the one before.
    assert len(read_recordings(frames[::2])) == 2
    # Two activities by turns, each in its file.
    turn = n // 20 % 2
    day = frames[0]
    assert len(read_recordings([day[turn == 0], day[turn == 1]])) == 2


@pytest.mark.parametrize(
    "first, second, one",
    [
        ("Accelerometer.csv", "Gyroscope.csv", True),
        ("Accelerometer.csv", "AccelerometerUncalibrated.csv", True),
        ("Accelerometer.csv", "Linear Acceleration.csv", True),
        ("A_acc.csv", "B_accelerometer.csv", False),
        ("walk.csv", "orienteering.csv", False),
        ("bob.csv", "mag.csv", False),
    ],
)
def test_names_of_files_tell_sensors(tmp_path, first, second, one):
    for name in (first, second):
        (tmp_path / name).write_text(text())
    if one:
        with pytest.raises(ValueError, match="equal names of columns"):
            read_recordings(tmp_path)
        found = read_recordings(
            tmp_path, sensor="(.*)[.]csv", columns={"x": "ax"}
        )
        assert len(found) == 1 and len(found[0].channels) == 2
    else:
        assert len(read_recordings(tmp_path)) == 2


def test_newest_first_with_a_second_recording():
    pd = pytest.importorskip("pandas")
    n = np.arange(100)
    one = pd.DataFrame({"time": n / 50, "ax": n})[::-1]
    (found,) = read_recordings(pd.concat([one, one]))
    assert found.rate == 50 and found.clock.seams == 1
    np.testing.assert_array_equal(found.signal[:, 0], [*n, *n])


def test_a_jump_of_milliseconds_is_a_seam(tmp_path):
    n = np.arange(200)
    np.savez(
        tmp_path / "jump.npz",
        signal=n[:, None].astype("float32"),
        t_ms=20 * n + 60_000 * (n >= 100),
        label=n // 100,
        start=[0, 200],
        subject=[1],
        channels=["ax"],
        classes=["rest", "walk"],
    )
    windows = load_recordings(tmp_path / "jump.npz", seconds=1, overlap=0.5)
    assert windows.y.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(
        windows.x[:, 0, 0], [0, 25, 50, 100, 125, 150]
    )
