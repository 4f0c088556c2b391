import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_seqattn.windows.cutting import chronological_split
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.standardizer import Standardizer


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1), timesteps=st.integers(1, 9)
)
def test_every_window_in_one_segment_and_none_missing(lengths, timesteps):
    # Numbers repeat: a seam is a change, not a new number.
    segment = np.repeat(np.arange(len(lengths)) % 2, lengths)
    if max(lengths) < timesteps:
        with pytest.raises(ValueError, match="No segment is long enough"):
            window_ends(segment, timesteps)
        return
    expected, start = [], 0
    for length in lengths:
        expected += range(start + timesteps - 1, start + length)
        start += length
    assert window_ends(segment, timesteps).tolist() == expected


def test_windows_hold_the_bins_up_to_their_end():
    sequence = np.arange(12).reshape(6, 2)
    found = take_windows(sequence, np.array([2, 5]), 3)
    assert found.tolist() == [
        [[0, 1], [2, 3], [4, 5]],
        [[6, 7], [8, 9], [10, 11]],
    ]


def test_parts_share_no_bin():
    ends = window_ends(np.repeat([0, 1, 2], [40, 30, 30]), 7)
    parts = chronological_split(ends, 100, 7)
    held = [
        {bin for end in part for bin in range(end - 6, end + 1)}
        for part in parts
    ]
    assert held[0] & held[1] == held[1] & held[2] == set()
    assert max(held[0]) < 70 <= min(held[1])
    assert max(held[1]) < 80 <= min(held[2])


def test_bad_splits():
    ends = np.arange(4, 50)
    for fractions in ((0.7, 0.2), (1.0, 0.0), (0.7, -0.1, 0.4)):
        with pytest.raises(ValueError, match="above 0 and have the sum 1"):
            chronological_split(ends, 50, 5, fractions)
    with pytest.raises(ValueError, match="Part 1 of the split holds no window"):
        chronological_split(ends, 50, 5, (0.88, 0.02, 0.1))


def test_standardizer_by_hand_and_dead_channels():
    data = np.array([[1.0, 7.0, 1e6], [3.0, 7.0, 1e6 + 1]], "float32")
    found = Standardizer.fit(data)
    assert found.mean.tolist() == [2, 7, 1e6 + 0.5]
    # Dead, and varying less than float32 resolves: scale 1.
    assert found.scale.tolist() == [1, 1, 1]
    assert found.transform(np.array([[3.0, 9.0, 0]]))[0, 1] == 2
    rng = np.random.default_rng(0)
    data = rng.normal(3, 5, size=(100, 2))
    found = Standardizer.fit(data)
    scaled = found.transform(data)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-6)
    np.testing.assert_allclose(found.inverse(scaled), data, atol=1e-5)


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1.0, 1e7])
def test_a_channel_is_dead_relative_to_itself(unit):
    rng = np.random.default_rng(0)
    data = rng.normal(3, 5, size=(100, 2))
    expected = (data - data.mean(0)) / data.std(0)
    found = Standardizer.fit(data * unit).transform(data * unit)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_window_of_no_timesteps():
    with pytest.raises(ValueError, match="`timesteps` must be a positive"):
        window_ends(np.zeros(5), 0)
    with pytest.raises(ValueError, match="No segment is long enough"):
        window_ends(np.zeros(0), 1)
