"""One session through every door, and files with something wrong."""

import numpy as np
import pandas as pd
import pytest

import keras_seqattn as ks
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import WienerFilter
from keras_seqattn.decoding import load_recording
from keras_seqattn.decoding import recording_contents
from tests.decoding import lab_files
from tests.decoding.lab_files import CONDITION
from tests.decoding.lab_files import HAND
from tests.decoding.lab_files import HEADING
from tests.decoding.lab_files import SPIKES
from tests.decoding.lab_files import TIMES
from tests.decoding.lab_files import TRIALS
from tests.decoding.lab_files import UNITS
from tests.decoding.lab_files import WIDTH

pytestmark = pytest.mark.plain

FIELDS = {"spike_times": "units", "times": "t", "movement": "hand"}
DOORS = (
    "lists",
    "mapping",
    "long table",
    "table with an index",
    "pynapple's objects",
    "pynapple's files",
    "old files of pynapple",
    "nwb",
    "two series of nwb",
    "mat v5",
    "struct of mat v5",
    "mat v7.3",
)


def table():
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(UNITS), [len(s) for s in SPIKES]),
            "time": np.concatenate(SPIKES),
        }
    )


def enter(door, folder, heading=False, **options):
    """Read the session through a door."""
    hand = HEADING if heading else HAND
    columns = ["heading"] if heading else ["x", "y"]
    frame = pd.DataFrame(hand.reshape(len(hand), -1), columns=columns)
    frame.index = TIMES
    name = "heading" if heading else "hand"
    options = {"bin_width": WIDTH, **options}
    if door == "lists":
        return load_recording(SPIKES, (TIMES, hand), **options)
    if door == "mapping":
        units = dict(enumerate(SPIKES))
        behavior = {"time": TIMES, **dict(frame.items())}
        return load_recording(units, behavior, **options)
    if door == "long table":
        # The silent unit has no row.
        frame = frame.rename_axis("time").reset_index()
        options["unit_ids"] = range(UNITS)
        return load_recording(table(), frame, **options)
    if door == "table with an index":
        options["unit_ids"] = range(UNITS)
        return load_recording(table(), frame, **options)
    if door == "pynapple's objects":
        group = lab_files.TsGroup(dict(enumerate(SPIKES)))
        series = lab_files.Ts(TIMES, hand, None if heading else ["x", "y"])
        return load_recording(group, series, **options)
    if door.endswith("pynapple") or door.startswith("pynapple"):
        old = door.startswith("old")
        path = lab_files.write_pynapple(folder, keys=not old)
        if old:  # They do not name silent units.
            options["unit_ids"] = [0, 1, 3]
        return load_recording(path, folder / f"{name}.npz", **options)
    if door == "nwb":
        path = lab_files.write_nwb(folder / "session.nwb")
        return load_recording(path, name, **options)
    if door == "two series of nwb":
        path = lab_files.write_nwb(folder / "session.nwb")
        names = ["hand_x", "BehavioralTimeSeries/hand_y"]
        return load_recording(path, name if heading else names, **options)
    fields = {**FIELDS, "movement": name}
    if door == "mat v7.3":
        path = lab_files.write_new_mat(folder / "session.mat")
    else:
        path = lab_files.write_old_mat(folder / "session.mat")
    if door.startswith("struct"):
        fields["spike_times"] = "session/spikes"
    return load_recording(path, fields=fields, **options)


@pytest.mark.parametrize("door", DOORS)
def test_one_session_through_every_door(tmp_path, door):
    found = enter(door, tmp_path)
    expected = lab_files.counts()
    if door.startswith("old"):
        expected = expected[:, [0, 1, 3]]
    np.testing.assert_array_equal(found.spikes, expected)
    np.testing.assert_allclose(found.movement, HAND[5::5], atol=1e-5)
    np.testing.assert_allclose(found.times, TIMES[5::5], rtol=1e-12)
    assert found.bin_width == WIDTH
    assert found.scored.all() and len(set(found.segment.tolist())) == 1
    ids = {"nwb": (10, 11, 12, 13), "mat": (1, 2, 3, 4)}
    kind = door.split()[0] if door.startswith("mat") else door.split()[-1]
    if kind in ids:
        assert found.unit_ids == ids[kind]


@pytest.mark.parametrize("door", DOORS)
def test_quantity_lag_and_trials_through_every_door(tmp_path, door):
    trials = TRIALS
    if door == "nwb":
        trials = "trials"
    elif door == "pynapple's files":
        trials = str(tmp_path / "trials.npz")
        lab_files.write_pynapple(tmp_path)
    elif door == "long table":
        trials = pd.DataFrame(TRIALS, columns=["start", "stop"])
    options = {"lag": 0.1, "trials": trials, "quantity": "direction"}
    found = enter(door, tmp_path, heading=True, **options)
    expected = enter(
        "lists", tmp_path, heading=True, **{**options, "trials": TRIALS}
    )
    columns = [0, 1, 3] if door.startswith("old") else [0, 1, 2, 3]
    np.testing.assert_array_equal(found.spikes, expected.spikes[:, columns])
    np.testing.assert_allclose(found.movement, expected.movement, atol=1e-5)
    np.testing.assert_array_equal(found.scored, expected.scored)
    np.testing.assert_array_equal(found.trial, expected.trial)
    scored = found.scored
    angle = 0.7 * (found.times[scored] + 0.1)
    np.testing.assert_allclose(
        found.movement[scored],
        np.stack([np.cos(angle), np.sin(angle)], axis=1),
        atol=1e-4,
    )
    assert found.is_direction and found.lag == 0.1
    if door == "nwb":
        labels = np.array([*CONDITION, ""])[found.trial]
        assert found.condition.tolist() == labels.tolist()


def test_one_session_has_one_score_through_every_door(tmp_path):
    scores = {}
    for door in DOORS:
        if not door.startswith("old"):
            data = DecodingData(enter(door, tmp_path, quantity="velocity"), 4)
            scores[door] = WienerFilter().fit(data).score(data).r2_per_axis
    for door in scores:
        np.testing.assert_allclose(
            scores[door], scores["lists"], atol=1e-3, err_msg=door
        )


def test_a_conversion_an_offset_and_a_title(tmp_path):
    path = lab_files.write_nwb(tmp_path / "s.nwb")
    found = load_recording(path, "Position", bin_width=WIDTH)
    assert found.quantity == "hand (m)"
    np.testing.assert_allclose(found.movement, HAND[5::5], atol=1e-5)
    moved = load_recording(path, "hand", bin_width=WIDTH, quantity="velocity")
    assert moved.quantity == "velocity of hand (m/s)"


def test_the_only_spatial_series_is_meant(tmp_path):
    path = lab_files.write_nwb(tmp_path / "s.nwb", heading=None)
    found = load_recording(path, bin_width=WIDTH)
    assert found.quantity == "hand (m)"
    np.testing.assert_allclose(found.movement, HAND[5::5], atol=1e-5)


def test_only_what_was_observed_is_in_a_segment(tmp_path):
    observed = [[0.0, 6.0], [8.0, 20.0]]
    path = lab_files.write_nwb(tmp_path / "s.nwb", observed=observed)
    found = load_recording(path, "Position/hand", bin_width=WIDTH)
    assert found.times[0] == pytest.approx(2.05)
    np.testing.assert_allclose(
        found.times[found.segment == found.segment[-1]],
        8 + WIDTH * np.arange(1, 201),
    )
    assert not ((found.times > 6.01) & (found.times < 8.04)).any()
    lab_files.write_nwb(path, observed=[[19.0, 20.0]])
    with pytest.raises(ValueError, match=r"not observed when .*from 19 to 20"):
        load_recording(path, "Position/hand", bin_width=WIDTH)


def test_a_default_support_of_pynapple_tells_nothing(tmp_path):
    every = np.concatenate(SPIKES)
    path = lab_files.write_pynapple(
        tmp_path, support=(every.min(), every.max())
    )
    found = load_recording(path, tmp_path / "hand.npz", bin_width=WIDTH)
    np.testing.assert_array_equal(found.spikes, lab_files.counts())
    chosen = load_recording(path, [tmp_path / "hand.npz", "y"], bin_width=WIDTH)
    np.testing.assert_allclose(chosen.movement[:, 0], HAND[5::5, 1], atol=1e-6)
    with pytest.raises(ValueError, match=r"no columns \['z'\].*\['x', 'y'\]"):
        load_recording(path, [tmp_path / "hand.npz", "z"], bin_width=WIDTH)
    with pytest.raises(ValueError, match="with a IntervalSet"):
        load_recording(path, tmp_path / "trials.npz", bin_width=WIDTH)
    with pytest.raises(ValueError, match="holds a TsdFrame of pynapple"):
        load_recording(tmp_path / "hand.npz", bin_width=WIDTH)


def wide():
    frame = pd.DataFrame(
        lab_files.counts(), columns=[f"unit {i}" for i in range(UNITS)]
    )
    return frame.assign(time=TIMES[5::5], x=HAND[5::5, 0], y=HAND[5::5, 1])


def test_a_wide_table_in_bins():
    found = load_recording(wide(), ["x", "y"])
    np.testing.assert_array_equal(found.spikes, lab_files.counts())
    np.testing.assert_allclose(found.movement, HAND[5::5], atol=1e-6)
    assert found.unit_ids == ("unit 0", "unit 1", "unit 2", "unit 3")
    assert found.bin_width == pytest.approx(WIDTH)
    gap = load_recording(wide().drop(index=range(100, 140)), ["x", "y"])
    assert np.flatnonzero(np.diff(gap.segment)).tolist() == [99]
    trials = load_recording(wide(), "x", trials=TRIALS, lag=0.1)
    later = TIMES[5::5] + 0.1
    inside = [((a + 1e-9 < later) & (later < b + 1e-9)) for a, b in TRIALS]
    np.testing.assert_array_equal(trials.scored, np.any(inside, axis=0))
    np.testing.assert_allclose(
        trials.movement[trials.scored, 0],
        np.sin(later[trials.scored]),
        atol=1e-5,
    )
    with pytest.raises(ValueError, match=r"no columns \['z'\]"):
        load_recording(wide(), ["x", "z"])
    with pytest.raises(ValueError, match=r"must be units.*\['who'\]"):
        load_recording(wide().assign(who="anna"), ["x", "y"])
    with pytest.raises(ValueError, match="must be a name"):
        load_recording(wide())


def test_bins_in_an_npz(tmp_path):
    path = tmp_path / "bins.NPZ"
    arrays = {
        "spikes": lab_files.counts(),
        "vel": HAND[5::5],
        "heading": HEADING[5::5],
        "segment": np.arange(320)[None] // 160,
        "bin_width": 0.05,
        "unit_ids": np.array([3, 1, 4, 15]),
        "comment": np.array({"by": "a lab"}, dtype=object),
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)
    found = load_recording(path)
    np.testing.assert_array_equal(found.spikes, lab_files.counts())
    assert (found.quantity, found.bin_width) == ("velocity", 0.05)
    assert found.unit_ids == (3, 1, 4, 15)
    assert load_recording(path, quantity="velocity").quantity == "velocity"
    angle = load_recording(path, "heading", quantity="direction", lag=-0.1)
    np.testing.assert_allclose(
        angle.movement[2:, 0], np.cos(HEADING[5::5][:-2]), atol=1e-6
    )
    # None of the segment before or of before the beginning.
    assert np.flatnonzero(~angle.scored).tolist() == [0, 1, 160, 161]
    both = load_recording(path, ["vel", "heading"])
    assert both.movement.shape == (320, 3)
    for options, message in (
        ({"quantity": "acceleration"}, "derivatives are of spike times"),
        ({"bin_width": 0.1}, r"cannot be binned anew.*0\.1, and 0\.05"),
        ({"lag": 0.07}, "whole number"),
        ({"trials": TRIALS}, "bins need `times`"),
        ({"smoothing": 0.1}, r"\['smoothing'\] are no options"),
        ({"behavior": "speed"}, r"lacks \['speed'\]"),
        ({"behavior": "comment"}, "holds Python objects"),
        ({"fields": FIELDS}, r"of a `\.mat` file alone"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            load_recording(path, **options)
        assert str(path) in str(caught.value)


def test_bins_in_a_mat(tmp_path):
    path = lab_files.write_old_mat(
        tmp_path / "bins.mat",
        counts=lab_files.counts(),
        hand=HAND[5::5],
        width=WIDTH,
    )
    fields = {"spikes": "counts", "movement": "hand", "bin_width": "width"}
    for width in ("width", WIDTH):
        found = load_recording(path, fields={**fields, "bin_width": width})
        np.testing.assert_array_equal(found.spikes, lab_files.counts())
        np.testing.assert_allclose(found.movement, HAND[5::5], atol=1e-6)
        assert found.bin_width == WIDTH
    named = load_recording(path, fields={**fields, "unit_ids": "names"})
    assert named.unit_ids == ("a1", "a2", "b1", "b2")
    with pytest.raises(
        ValueError, match=r"if these are milliseconds, give 0\.05"
    ):
        load_recording(path, fields={**fields, "bin_width": 50})


def test_contents_are_told(tmp_path):
    text = recording_contents(lab_files.write_nwb(tmp_path / "s.nwb"))
    assert "units: 4 units, 2700 spikes" in text
    for line in (
        "processing/behavior/Position/hand: shape (1601, 2), m, time stamps",
        "acquisition/CompassDirection/heading: shape (1601,), degrees, 100 Hz",
        "trials: 3 rows; start_time, stop_time, condition",
    ):
        assert f"\n  {line}" in text
    text = recording_contents(lab_files.write_old_mat(tmp_path / "s.mat"))
    for line in ("units: 4x1 cells", "t: 1x1601", "session: struct"):
        assert f"\n  {line}" in text
    assert "units: 4x1 cells" in recording_contents(
        lab_files.write_new_mat(tmp_path / "new.mat")
    )
    text = recording_contents(lab_files.write_pynapple(tmp_path))
    assert text.startswith("pynapple's TsGroup:")
    assert "_metadata: () object  (objects, not read)" in text
    assert "{0: 900, 1: 900, 2: 0, 3: 900}" in text
    assert "x, y" not in recording_contents(tmp_path / "hand.npz")


def nan_at(array, row):
    array = np.array(array)
    array[row] = np.nan
    return array


BAD_NWB = {
    "no units": ({"spikes": None}, "holds no units with spike times"),
    "no spikes": ({"spikes": [[], []]}, "spike"),
    "NaN in a unit": (
        {"spikes": [SPIKES[0], nan_at(SPIKES[1], 7)]},
        "unit 11 must be finite.*1 of 900, the first at entry 7",
    ),
    "unsorted times": ({"times": TIMES[::-1]}, "must rise"),
    "NaN stamps": ({"times": nan_at(TIMES, 3)}, "`times`.*"),
    "two of one name": (
        {"twice": True},
        "2 series of the name 'hand'(.|\n)*behavior/Position/hand.*\n.*other",
    ),
    "other time": ({"times": TIMES + 500}, "not observed when there is beh"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", BAD_NWB)
def test_bad_nwb(tmp_path, name):
    changed, message = BAD_NWB[name]
    path = lab_files.write_nwb(tmp_path / "bad.nwb", **changed)
    with pytest.raises(ValueError, match=message) as caught:
        load_recording(path, "hand", bin_width=WIDTH)
    assert str(path) in str(caught.value)


def test_an_empty_unit_stays(tmp_path):
    path = lab_files.write_nwb(
        tmp_path / "s.nwb", spikes=[[], SPIKES[0], []], trials=None
    )
    found = load_recording(path, "Position", bin_width=WIDTH)
    np.testing.assert_array_equal(found.spikes[:, 1], lab_files.counts()[:, 0])
    assert not found.spikes[:, [0, 2]].any()


def test_what_could_be_meant_is_listed(tmp_path):
    path = lab_files.write_nwb(tmp_path / "s.nwb")
    with pytest.raises(
        ValueError,
        match=r"2 series that could be meant(.|\n)*/hand: shape \(16",
    ):
        load_recording(path, bin_width=WIDTH)
    for options, message in (
        ({"behavior": "foot"}, r"no series of the name 'foot'(.|\n)*heading:"),
        ({"behavior": "hand", "trials": "blocks"}, r"no intervals.*\['trials'"),
        (
            {"behavior": "hand", "trials": "trials", "condition": "depth"},
            "no column 'depth'",
        ),
        ({"behavior": "hand", "condition": "condition"}, "name that too"),
        ({"behavior": "hand", "bin_width": None}, "give `bin_width` in sec"),
        ({"behavior": "hand", "bin_width": 50}, "milliseconds, give 0.05"),
        ({"behavior": "hand", "area": "M1"}, r"\['area'\] are no options"),
        (
            {"behavior": ["hand", "hand_x"], "lag": "far"},
            "`lag` must be a finite number",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            load_recording(path, **{"bin_width": WIDTH, **options})


def test_series_of_two_clocks_are_not_stacked(tmp_path):
    path = lab_files.write_nwb(tmp_path / "s.nwb", times=TIMES + 0.001)
    with pytest.raises(ValueError, match=r"same times.*2\.001 to.*2 to 18"):
        load_recording(path, ["hand_x", "heading"], bin_width=WIDTH)


def test_corrupted_files(tmp_path):
    nwb = lab_files.write_nwb(tmp_path / "s.nwb").read_bytes()
    old = lab_files.write_old_mat(tmp_path / "v5.mat").read_bytes()
    new = lab_files.write_new_mat(tmp_path / "v73.mat").read_bytes()
    for name, whole in (("nwb", nwb), ("mat", old), ("mat", new)):
        for content in (
            whole[: len(whole) // 2],
            whole[:3000],
            b"not at all",
            whole[:400] + bytes(800) + whole[1200:],
        ):
            path = tmp_path / f"bad.{name}"
            path.write_bytes(content)
            with pytest.raises(ValueError) as caught:
                fields = FIELDS if name == "mat" else None
                load_recording(path, "hand", bin_width=WIDTH, fields=fields)
            assert str(path) in str(caught.value)
            assert "damaged" in str(caught.value)


def test_mat_says_what_is_missing(tmp_path):
    path = lab_files.write_old_mat(tmp_path / "s.mat", one=3.0, z="text")
    for fields, message in (
        (None, r"must be told: fields=(.|\n)*units: 4x1 cells"),
        ({"spikes": "units"}, "must be told"),
        ({**FIELDS, "speed": "t"}, "must be told"),
        ({**FIELDS, "times": "time"}, r"no variable 'time'.*'units', 't'"),
        ({**FIELDS, "times": "hand"}, "must be a row or a column"),
        (
            {**FIELDS, "movement": "trials"},
            "a row for each time, 1601 of them.* 3x2",
        ),
        ({**FIELDS, "spike_times": "hand"}, "must be a cell array"),
        ({**FIELDS, "movement": "names"}, "must hold numbers"),
        ({**FIELDS, "spike_times": "session/units"}, "no field 'units'"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            load_recording(path, fields=fields, bin_width=WIDTH)
        assert str(path) in str(caught.value)
    empty = np.empty((0, 0), dtype=object)
    path = lab_files.write_old_mat(tmp_path / "no.mat", units=empty)
    with pytest.raises(ValueError, match="must hold a unit"):
        load_recording(path, fields=FIELDS, bin_width=WIDTH)
    silent = np.empty((1, 3), dtype=object)
    silent[:] = [[np.zeros((0, 0))] * 3]
    path = lab_files.write_old_mat(tmp_path / "silent.mat", units=silent)
    with pytest.raises(ValueError, match=r"silent\.mat.*spike"):
        load_recording(path, fields=FIELDS, bin_width=WIDTH)


def test_other_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="no recording at"):
        load_recording(tmp_path / "none.nwb")
    with pytest.raises(ValueError, match="must be a file"):
        load_recording(tmp_path)
    (tmp_path / "table.csv").write_text("unit,time\n1,2\n")
    with pytest.raises(ValueError, match="read with pandas"):
        load_recording(tmp_path / "table.csv")
    for behavior in (None, [TIMES], "nothing.npz"):
        with pytest.raises(
            (ValueError, FileNotFoundError), match=r"Spike ti|no f"
        ):
            load_recording(SPIKES, behavior, bin_width=WIDTH)
    frame = pd.DataFrame({"time": TIMES, "what": "text"})
    with pytest.raises(ValueError, match=r"numbers besides `time`.*what"):
        load_recording(SPIKES, frame, bin_width=WIDTH)
    stamps = pd.DataFrame({"time": pd.to_datetime(TIMES, unit="s"), "x": 1.0})
    with pytest.raises(ValueError, match=r"seconds, as numbers.*datetime64"):
        load_recording(SPIKES, stamps, bin_width=WIDTH)
    with pytest.raises(ValueError, match="`trials` have no name"):
        load_recording(SPIKES, (TIMES, HAND), bin_width=WIDTH, trials="epochs")


def test_doors_are_public():
    assert ks.decoding.load_recording is load_recording
    assert ks.decoding.recording_contents is recording_contents
