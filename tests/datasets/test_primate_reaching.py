import h5py
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.datasets.primate_reaching import reader
from keras_seqattn.datasets.primate_reaching import session_file
from keras_seqattn.datasets.primate_reaching import sessions
from tests.datasets import matlab_sessions

SAMPLES = 16  # of a bin of 64 ms
NAMES = ("S1 001", "M1 001", "M1 002", "M1 003")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "session.mat"


def write(path, t=None, cursor=None, spikes=None, names=NAMES, **options):
    """Write a session of 2 s and four channels without a spike."""
    sines = matlab_sessions.reach(2.0, start=0.0)
    matlab_sessions.write_session(
        path,
        t=sines[0] if t is None else t,
        cursor=sines[1] if cursor is None else cursor,
        spikes=[[[], []]] * len(names) if spikes is None else spikes,
        names=names,
        **options,
    )
    return path


def test_planted_spikes(path):
    t, _ = matlab_sessions.reach(2.0, start=0.0)
    edge = t[3 * SAMPLES]
    spikes = [
        [[0.5], []],  # the other area
        [[-0.2, 0.0, 0.01, edge - 1e-6, 5.0], [edge, edge + 0.001]],
        [[], []],  # silent, and no spikes at 0 and 1 s
        [[], [t[31 * SAMPLES] - 1e-6, t[31 * SAMPLES], t[-1], 2.5]],
    ]
    session = session_file.read_session(write(path, spikes=spikes))
    assert session.channels == ("M1 001", "M1 002", "M1 003")
    assert session.spikes.dtype == np.uint16
    expected = np.zeros((31, 3))  # 500 samples begin 31 whole bins
    expected[0, 0] = 2
    expected[2, 0] = 1
    expected[3, 0] = 2
    expected[30, 2] = 1
    np.testing.assert_array_equal(session.spikes, expected)
    np.testing.assert_allclose(session.time, 0.064 * np.arange(1, 32))


def test_spike_times_need_no_order(path):
    spikes = [[[]], [[1.0, 0.1, 0.5, 0.1]], [[]], [[]]]
    counts = session_file.read_session(write(path, spikes=spikes)).spikes[:, 0]
    assert {bin: int(counts[bin]) for bin in np.flatnonzero(counts)} == {
        1: 2,
        7: 1,
        15: 1,
    }


def test_areas_by_channel_names(path):
    spikes = [[[0.1]], [[0.2]], [[0.3]], [[0.4]]]
    names = ("M1 007", "S1 001", "M1 001", "S1 002")
    write(path, spikes=spikes, names=names)

    def found(area):
        session = session_file.read_session(path, area=area, bin_width=0.016)
        first = session.spikes.argmax(axis=0)
        return dict(
            zip(session.channels, (first * 0.016).round(1), strict=True)
        )

    assert found("M1") == {"M1 007": 0.1, "M1 001": 0.3}
    assert found("S1") == {"S1 001": 0.2, "S1 002": 0.4}
    assert list(found("M1+S1")) == list(names)


def test_missing_area(path):
    write(path, names=("M1 001", "M1 002"))
    for area in ("S1", "M1+S1"):
        with pytest.raises(ValueError, match=r"no channel of \['S1'\].*'M1'"):
            session_file.read_session(path, area=area)


@pytest.mark.parametrize("columns", (3, 6))
def test_the_finger_has_the_axes_and_unit_of_the_cursor(path, columns):
    t, cursor = matlab_sessions.reach(2.0)
    write(path, t, cursor, depth=np.cos(9 * t), finger_columns=columns)
    for quantity in session_file.QUANTITIES:
        of_cursor, of_finger = (
            session_file.read_session(
                path, effector=effector, quantity=quantity
            )
            for effector in ("cursor", "finger")
        )
        np.testing.assert_allclose(
            of_finger.movement, of_cursor.movement, atol=1e-3
        )
    assert np.abs(of_cursor.movement).max() > 50


@pytest.mark.parametrize("bin_width", session_file.BIN_WIDTHS)
@pytest.mark.parametrize("alignment", session_file.ALIGNMENTS)
def test_movement_and_the_instant_of_a_bin(path, bin_width, alignment):
    """x = 40 sin(w t), whose derivatives are known at every instant."""
    start, w = 148.984, 2 * np.pi * np.array([0.3, 0.7])
    t = start + 0.004 * np.arange(500)
    write(path, t, 40 * np.sin(w * (t[:, None] - start)))
    width = bin_width
    bin_ms = round(1000 * bin_width)
    for quantity, function, error in (
        ("position", lambda s: 40 * np.sin(w * s), 1e-4),
        ("velocity", lambda s: 40 * w * np.cos(w * s), 0.02),
        ("acceleration", lambda s: -40 * w**2 * np.sin(w * s), 0.2),
    ):
        session = session_file.read_session(
            path, bin_width=bin_width, quantity=quantity, alignment=alignment
        )
        assert len(session.movement) == 499 // (bin_ms // 4)
        assert session.movement.dtype == np.float32
        end = session.time[:, None]
        expected = {
            "end": function(end),
            "start": function(end - width),
            "mean": np.mean(
                [function(end - width + 0.004 * i) for i in range(bin_ms // 4)],
                axis=0,
            ),
        }[alignment]
        # At the ends of the recording differences are one-sided.
        np.testing.assert_allclose(
            session.movement[1:-1], expected[1:-1], atol=error
        )


def test_no_bin_crosses_a_gap(path):
    t, cursor = matlab_sessions.reach(4.0, start=0.0)
    t[300:] += 1.5
    cursor[300:] += 500  # where nobody saw it
    cursor[500:510, 1] = np.nan
    spikes = [[[]], [[0.3, 1.3, t[300]]], [[]], [[]]]
    write(path, t, cursor, spikes)
    session = session_file.read_session(path)
    assert np.bincount(session.segment).tolist() == [18, 12, 30]
    for alignment in session_file.ALIGNMENTS:
        moved = session_file.read_session(path, alignment=alignment).movement
        assert 100 < np.abs(moved).max() < 200
    begin = session.time - 0.064
    for number, first in enumerate((t[0], t[300], t[510])):
        part = begin[session.segment == number]
        np.testing.assert_allclose(
            part, first + 0.064 * np.arange(len(part)), atol=1e-9
        )
    # The spike at 1.3 s lies in the gap.
    assert np.flatnonzero(session.spikes[:, 0]).tolist() == [4, 18]


def test_counts_and_velocity_of_a_recording_come_back(path):
    planted = ks.tasks.simulated_reaching(bins=300, units=6)
    matlab_sessions.session_of(path, planted)
    found = ks.decoding.load_recording(
        path, quantity="velocity", alignment="mean"
    )
    np.testing.assert_array_equal(found.spikes, planted.spikes)
    assert found.spikes.sum() > 500
    assert found.bin_width == 0.064
    assert found.quantity == "cursor velocity (mm/s)"
    # Of a bin's 16 central differences the first looks back half way.
    v = planted.movement
    np.testing.assert_allclose(
        found.movement[1:], (15.5 * v[1:] + 0.5 * v[:-1]) / 16, atol=1e-3
    )
    at_end = ks.decoding.load_recording(path).movement
    np.testing.assert_allclose(at_end[:-1], (v[:-1] + v[1:]) / 2, atol=1e-3)
    position = ks.decoding.load_recording(
        path, "finger", quantity="position", bin_width=0.128
    )
    assert position.quantity == "finger position (mm)"
    np.testing.assert_allclose(
        position.movement, 0.064 * v.cumsum(axis=0)[1::2], atol=1e-3
    )
    acceleration = ks.decoding.load_recording(
        path, quantity="acceleration", area="M1", bin_width=0.016
    )
    assert acceleration.quantity == "cursor acceleration (mm/s^2)"
    assert len(acceleration.movement) == 1200


def test_a_session_with_a_lag_and_bins_of_any_width(path):
    planted = ks.tasks.simulated_reaching(bins=300, units=6)
    matlab_sessions.session_of(path, planted)
    position = 0.064 * planted.movement.cumsum(axis=0)
    found = ks.decoding.load_recording(
        path, "cursor", quantity="position", lag=0.064
    )
    np.testing.assert_array_equal(found.spikes, planted.spikes[:-1])
    np.testing.assert_allclose(found.movement, position[1:], atol=1e-3)
    assert (found.lag, found.quantity) == (0.064, "cursor (mm)")
    assert found.unit_ids == tuple(f"M1 {i + 1:03}" for i in range(6))
    wide = ks.decoding.load_recording(
        path, bin_width=0.192, quantity="position"
    )
    np.testing.assert_array_equal(
        wide.spikes, planted.spikes.reshape(100, 3, 6).sum(axis=1)
    )
    np.testing.assert_allclose(wide.movement, position[2::3], atol=1e-3)
    moved = ks.decoding.load_recording(
        path, quantity="velocity", smoothing=0.016, trials=[[149.0, 152.0]]
    )
    assert moved.quantity == "velocity of cursor (mm/s)"
    inside = moved.scored
    np.testing.assert_allclose(
        moved.movement[inside], planted.movement[inside], atol=0.1
    )
    np.testing.assert_array_equal(
        inside, (moved.times > 149) & (moved.times <= 152)
    )


def test_load_recording_says_what_is_wrong(path, tmp_path):
    write(path)
    with pytest.raises(ValueError, match="`effector` must be one of"):
        ks.decoding.load_recording(path, "speed")
    with pytest.raises(ValueError, match=r"\['bin_ms'\] are no options"):
        ks.decoding.load_recording(path, bin_ms=50)
    with pytest.raises(ValueError, match="`quantity` must be one of"):
        ks.decoding.load_recording(path, quantity="direction")
    with pytest.raises(ValueError, match="`bin_width` must be one of"):
        session_file.read_session(path, bin_width=0.05)
    np.savez(tmp_path / "own.npz", spikes=np.ones((9, 2)), vel=np.ones((9, 2)))
    with pytest.raises(ValueError, match=r"\['area'\] are no options"):
        ks.decoding.load_recording(tmp_path / "own.npz", area="M1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two sessions under published names, 20 and 24 s, the first in parts."""
    folder = tmp_path_factory.mktemp("sessions")
    for name, seconds in (("loco_20170213_02", 20), ("loco_20170214_02", 24)):
        path = folder / f"{name}.mat"
        matlab_sessions.poisson_session(path, seconds, channels=5, seed=seconds)
        with h5py.File(path, "r+") as file:
            if seconds == 20:
                t = file["t"]
                t[0, 1000:] += 0.5
    return folder


def examples(path, split, **options):
    numbers, found = zip(
        *reader.read_examples(path, split, train_seconds=10, **options),
        strict=True,
    )
    assert numbers == tuple(range(len(numbers)))
    return found


def test_windows(folder):
    path = folder / "loco_20170213_02.mat"
    session = session_file.read_session(path)
    ends = {}
    for split in reader.SPLITS:
        found = examples(path, split, timesteps=7)
        end = np.searchsorted(
            session.time, [e["time_ms"] / 1000 - 0.03 for e in found]
        )
        for row, example in zip(end, found, strict=True):
            np.testing.assert_array_equal(
                example["spikes"], session.spikes[row - 6 : row + 1]
            )
            np.testing.assert_array_equal(
                example["movement"], session.movement[row]
            )
            assert example["segment"] == session.segment[row]
            assert (
                session.segment[row - 6 : row + 1] == example["segment"]
            ).all()
        ends[split] = end
    # Every window but those that cross the gap or the cut.
    cut = (session.time < 10.001).sum()
    seam = np.flatnonzero(np.diff(session.segment))[0] + 1
    assert ends["train"].tolist() == [
        *range(6, seam),
        *range(seam + 6, cut),
    ]
    assert ends["test"].tolist() == [*range(cut + 6, len(session.time))]


def test_stride_and_single_bins(folder):
    path = folder / "loco_20170214_02.mat"
    every = examples(path, "test", timesteps=4)
    third = examples(path, "test", timesteps=4, stride=3)
    assert set(np.diff([e["time_ms"] for e in third])) == {3 * 64}
    assert {e["time_ms"] for e in third} < {e["time_ms"] for e in every}
    bins = examples(path, "test", timesteps=None, bin_width=0.128)
    assert bins[0]["spikes"].shape == (5,)
    whole = session_file.read_session(path, bin_width=0.128)
    np.testing.assert_array_equal(
        np.stack([e["spikes"] for e in bins]), whole.spikes[-len(bins) :]
    )
    assert len(bins) == len(whole.time) - 78


def test_all_sessions_of_a_monkey(folder, monkeypatch):
    names = ("loco_20170213_02", "loco_20170214_02")
    monkeypatch.setitem(sessions.RECORDINGS, "loco", names)
    both = examples(folder, "train", recording="loco", timesteps=3)
    number = np.array([e["session"] for e in both])
    assert [sessions.NAMES[i] for i in np.unique(number)] == list(names)
    assert (np.diff(number) >= 0).all()
    segment = np.array([e["segment"] for e in both])
    assert [
        np.unique(segment[number == i]).tolist() for i in np.unique(number)
    ] == [
        [0, 1],
        [0],
    ]
    alone = examples(folder, "train", recording=names[1], timesteps=3)
    assert len(alone) == (number == number[-1]).sum()
    np.testing.assert_array_equal(alone[-1]["spikes"], both[-1]["spikes"])


def test_another_name_has_no_number(path):
    write(path)
    [*found] = reader.read_examples(path, "train", timesteps=2)
    assert {int(example["session"]) for _, example in found} == {-1}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "validation"}, "`split` must be one of"),
        ({"recording": "indy_1"}, "`recording` must be a published session"),
        ({"recording": "indy"}, "no session file at .*indy_20160407_02.mat"),
        (
            {"train_seconds": 25},
            "test part of loco_20170213_02 holds no window",
        ),
        ({"train_seconds": 0.5}, "train part .* holds no window of 20 bins"),
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"timesteps": 500}, "No segment is long enough"),
        ({"quantity": "speed"}, "`quantity` must be one of"),
        ({"alignment": "middle"}, "`alignment` must be one of"),
        ({"effector": "arm"}, "`effector` must be one of"),
        ({"area": "PMd"}, "`area` must be one of"),
    ],
)
def test_bad_options(folder, options, message):
    options = {"recording": "loco_20170213_02", "split": "test", **options}
    if options.get("train_seconds") == 0.5:
        options["split"] = "train"
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        [*reader.read_examples(folder, **options)]


SINES = matlab_sessions.reach(2.0, start=0.0)


@pytest.mark.parametrize(
    "variable, value, message",
    [
        (
            "t",  # twice the time from the middle on
            np.interp(SINES[0], [0, 1, 2], [0, 1, 3]),
            "4 ms apart.* of 499 steps differ.*longest 8 ms",
        ),
        ("t", 2 * SINES[0], "499 of 499 steps differ"),
        ("t", SINES[0] % 1, "4 ms apart"),
        ("t", np.full(500, np.nan), "no sample that is not NaN"),
        ("cursor_pos", SINES[1][:-1], r"'cursor_pos' .* one row a sample"),
        ("cursor_pos", SINES[1][:, :1], r"2 columns. Received: \(500, 1\)"),
        ("cursor_pos", np.nan * SINES[1], "no sample that is not NaN"),
    ],
)
def test_bad_tracks(path, variable, value, message):
    write(path)
    with h5py.File(path, "r+") as file:
        del file[variable]
        file[variable] = value.reshape(len(value), -1).T
    with pytest.raises(ValueError, match=message):
        session_file.read_session(path)


def test_a_session_shorter_than_a_bin(path):
    write(path, t=SINES[0][:16], cursor=SINES[1][:16])
    with pytest.raises(
        ValueError, match=r"no bin of 0\.064 s\. Received: 16 s"
    ):
        session_file.read_session(path)
    assert len(session_file.read_session(path, bin_width=0.016).time) == 3


def null_reference(file):
    cells = file["spikes"][()]
    cells[0, 1] = h5py.Reference()
    file["spikes"][...] = cells


def text_for_spikes(file):
    del file["spikes"]
    file["spikes"] = np.zeros((1, 4))


def a_row_too_few(file):
    cells = file["spikes"][:, :3]
    del file["spikes"]
    file.create_dataset("spikes", data=cells, dtype=h5py.ref_dtype)


def huge(file):
    del file["t"]
    file.create_dataset("t", shape=(1, 10**11), dtype="f8", chunks=(1, 1000))


def huge_cells(file):
    del file["spikes"]
    file.create_dataset(
        "spikes",
        shape=(10**6, 10**6),
        dtype=h5py.ref_dtype,
        chunks=(1, 1000),
    )


def a_link(file):
    del file["t"]
    file["t"] = h5py.ExternalLink(file.filename, "cursor_pos")


def another_file(file):
    del file["t"]
    external = [(file.filename, 0, 4000)]
    file.create_dataset("t", (1, 500), "f8", external=external)


def a_channel_twice(file):
    names = file["chan_names"][()]
    names[0, 1] = names[0, 2]
    file["chan_names"][...] = names


def a_group(file):
    del file["t"]
    file.create_group("t")


@pytest.mark.parametrize(
    "change, message",
    [
        (null_reference, "points nowhere"),
        (text_for_spikes, "'spikes' in .* must be a cell array"),
        (a_row_too_few, "one row a channel. Received: 3 rows and 4 names"),
        (huge, "'t' in .* too large"),
        (huge_cells, "'spikes' in .* too large.*100000 cells"),
        (a_link, "'t' in .* must be in the file itself.*a link"),
        (another_file, "'t' in .* must be in the file itself.*other files"),
        (a_channel_twice, "names a channel twice"),
        (a_group, "'t' in .* must hold numbers"),
    ],
)
def test_bad_variables(path, change, message):
    write(path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        session_file.read_session(path)


@pytest.mark.parametrize("name", ("t", "cursor_pos", "spikes", "chan_names"))
def test_missing_variable(path, name):
    write(path, leave_out=(name,))
    with pytest.raises(ValueError, match=rf"lacks the variables \['{name}'\]"):
        session_file.read_session(path)


def test_another_hdf5_file(path):
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(ValueError, match=r"lacks .*Received: \['weights'\]"):
        session_file.read_session(path)


def test_files_that_are_no_hdf5(path):
    with pytest.raises(FileNotFoundError, match="no session file at"):
        session_file.read_session(path)
    path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(500))
    with pytest.raises(ValueError, match=r"MATLAB v7\.3 file, which is HDF5"):
        session_file.read_session(path)


@pytest.mark.parametrize("share", (0.2, 0.7, 0.999))
def test_cut_off_files(path, share):
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="damaged or cut off"):
        session_file.read_session(path)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_damaged_files(path):
    """Whatever is overwritten, it is read or said so; HDF5 has no checksum."""
    write(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for start in rng.integers(matlab_sessions.USER_BLOCK, len(whole), 60):
        damage = rng.bytes(64)
        path.write_bytes(whole[:start] + damage + whole[start + 64 :])
        try:
            session_file.read_session(path)
        except ValueError as error:
            messages.append(str(error))
    assert sum("damaged or cut off" in message for message in messages) > 3


def test_published_sessions():
    assert len(sessions.SESSIONS["indy"]) == 37
    assert len(sessions.SESSIONS["loco"]) == 10
    assert len(set(sessions.NAMES)) == 47
    assert set(sessions.MD5) < set(sessions.NAMES)
    assert len(set(sessions.MD5.values())) == 20
    assert len(reader.CONFIGS) == 196
    assert next(iter(reader.CONFIGS)) == "indy_20160407_02_64ms"
    for name, options in reader.CONFIGS.items():
        width = round(1000 * options["bin_width"])
        assert name == f"{options['recording']}_{width}ms"


def test_digest(path):
    path.write_bytes(b"another session")
    sessions.check_digest("indy_20160921_01", path)  # none known
    with pytest.raises(ValueError, match="not the published session indy_2016"):
        sessions.check_digest("indy_20160407_02", path)
