import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import keras_seqattn as ks
from keras_seqattn.decoding.timestep_selection import recommend_timesteps

T = 20
UNIFORM = np.full((1000, T), 1 / T, "float32")


def select(scores, *arguments, **keywords):
    return ks.decoding.select_timesteps(
        scores, *arguments, **keywords
    ).timesteps


def one_hot(index, windows=7):
    scores = np.zeros((windows, T), "float32")
    scores[:, index] = 1
    return scores


@pytest.mark.parametrize("rule", ["default", "original"])
def test_all_attention_on_one_timestep(rule):
    assert select(one_hot(-1), rule=rule) == 1
    assert select(one_hot(0), rule=rule) == T


@pytest.mark.parametrize(
    "threshold, original, corrected",
    [
        # The behaviour table of the original, float32 and strictly more.
        (0.5, 11, 10),
        (0.85, 18, 17),
        (0.9, 18, 18),
        (0.95, 20, 19),
        (0.99, 20, 20),
        (1.0, 1, 20),
    ],
)
def test_uniform_attention(threshold, original, corrected):
    assert select(UNIFORM, threshold, rule="original") == original
    assert select(UNIFORM, threshold) == corrected
    assert select(UNIFORM.astype("float64"), threshold) == corrected


@pytest.mark.parametrize("share, expected", [(0.85001, 2), (0.84999, 3)])
def test_many_windows_of_float32_are_summed_in_float64(share, expected):
    """A float32 sum over this many windows is off by more than 1e-5."""
    row = np.array([1 - share, share / 2, share / 2], "float32")
    assert select(np.tile(row, (100_000, 1)), 0.85) == expected


def test_profile_and_share_by_hand():
    scores = np.array([[0.1, 0.2, 0.7], [0.3, 0.2, 0.5], [0.2, 0.2, 0.6]])
    found = ks.decoding.select_timesteps(scores, 0.75)
    np.testing.assert_allclose(found.profile, [0.2, 0.2, 0.6])
    np.testing.assert_allclose(found.cumulative_share, [0.6, 0.8, 1.0])
    assert found.timesteps == 2
    assert found.threshold == 0.75
    # Alone the second window needs 3 (0.7 is not enough), the others 2.
    assert found.quantiles == (2, 2, 3)


def test_seeds_count_alike_and_are_kept_apart():
    few, many = one_hot(-1, 3), one_hot(-4, 300)
    found = ks.decoding.select_timesteps([few, many, few], 0.9)
    assert found.per_seed == (1, 4, 1)
    assert found.timesteps == 4  # the newest holds 2/3 of the mean profile
    assert found.agreement == pytest.approx(1 / 3)
    np.testing.assert_allclose(found.profile[[-1, -4]], [2 / 3, 1 / 3])
    assert ks.decoding.select_timesteps([few, many, few], 0.6).timesteps == 1
    # An array of rank 3 is the same as a list.
    stacked = ks.decoding.select_timesteps(np.stack([few, few]))
    assert stacked.per_seed == (1, 1)


def test_sample_weight():
    scores = np.concatenate([one_hot(-1, 5), one_hot(-6, 5)])
    moving = np.array([0.0] * 5 + [2.0] * 5)
    assert select(scores, 0.5) == 1
    assert select(scores, 0.5, sample_weight=moving) == 6


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    low=st.floats(0.01, 1),
    high=st.floats(0.01, 1),
)
def test_smallest_number_that_holds_the_share(counts, low, high):
    if not sum(counts):
        return
    scores = np.array([counts], "float64")
    low, high = sorted((low, high))
    found = ks.decoding.select_timesteps(scores, high)
    k = found.timesteps
    assert found.cumulative_share[k - 1] >= high - 1e-9
    assert k == 1 or found.cumulative_share[k - 2] < high
    assert select(scores, low) <= k


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, 5, float("nan")])
def test_thresholds_out_of_range(threshold):
    with pytest.raises(ValueError, match=r"above 0 and at most 1. Received"):
        ks.decoding.select_timesteps(UNIFORM, threshold)


@pytest.mark.parametrize(
    "scores, message",
    [
        (np.ones(5), r"shape \(windows, timesteps\).*shape \(5,\)"),
        (np.ones((0, 5)), "none of them empty"),
        (np.full((2, 3), np.nan), "NaN or infinity in 2 windows"),
        (-np.ones((2, 3)), "after the softmax"),
        (np.zeros((2, 3)), "nor all zero"),
        ([np.ones((2, 3)), np.ones((2, 4))], "same number of timesteps"),
    ],
)
def test_bad_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        ks.decoding.select_timesteps(scores)


def test_scores_and_weights_too_large_to_add():
    scores = np.array([[0.1, 0.9], [0.2, 0.8]])
    assert ks.decoding.select_timesteps(1e307 * scores).timesteps == 2
    with pytest.raises(ValueError, match="must have a finite sum"):
        ks.decoding.select_timesteps(np.full((9, 9), 1e308))
    for weight in (np.inf, np.nan, 1e308):
        with pytest.raises(ValueError, match="`sample_weight` must"):
            ks.decoding.select_timesteps(
                np.repeat(scores, 5, axis=0), sample_weight=[weight] * 10
            )


def test_bad_weights_and_rule():
    with pytest.raises(ValueError, match="one number >= 0 a window"):
        ks.decoding.select_timesteps(UNIFORM, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="must not be all zero"):
        ks.decoding.select_timesteps(
            UNIFORM, sample_weight=np.zeros(len(UNIFORM))
        )
    with pytest.raises(ValueError, match="`rule` must be one of"):
        ks.decoding.select_timesteps(UNIFORM, rule="strict")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    full=st.integers(1, 40), right=st.integers(1, 40), start=st.integers(1, 40)
)
def test_recommends_the_smallest_window_that_is_enough(full, right, start):
    right, start = min(right, full), min(start, full)
    tried = []

    def score(k):
        tried.append(k)
        return 0.9 if k >= right else 0.5

    found = recommend_timesteps(score, start, full)
    assert found.timesteps == right
    assert tried[0] == full
    assert len(tried) == len(set(tried))
    assert sorted(tried) == list(found.scores)
    # The neighbour below was tried and is worse.
    assert right == 1 or right - 1 in tried
    assert len(tried) <= 3 + 2 * np.log2(1 + full)


def test_a_right_proposal_costs_three_scores():
    tried = []

    def score(k):
        tried.append(k)
        return k >= 6

    assert recommend_timesteps(score, 6, 20).timesteps == 6
    assert tried == [20, 6, 5]


def test_recommendation_uses_the_mean_over_seeds_and_the_tolerance():
    table = {4: (0.80, 0.84), 3: (0.82, 0.80), 2: (0.83, 0.77), 1: (0, 0)}
    found = recommend_timesteps(table.__getitem__, 4, 4, tolerance=0.015)
    assert found.timesteps == 3
    assert found.mean_score(3) == pytest.approx(0.81)
    assert found.full_timesteps == 4
    assert recommend_timesteps(table.get, 4, 4, 0.021).timesteps == 2
    assert recommend_timesteps(table.get, 4, 4, 0.0).timesteps == 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((lambda k: 1.0, 9, 8), r"`proposal` must be in 1 .. 8"),
        ((lambda k: 1.0, 0, 8), "`proposal` must be a positive integer"),
        ((lambda k: 1.0, 2, 8, -1), "`tolerance` must be a finite"),
        ((lambda k: 1.0, 2, 8, float("nan")), "`tolerance` must be a finite"),
        ((lambda k: float("nan"), 2, 8), "score at 8 timesteps must be finite"),
    ],
)
def test_bad_recommendation_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        recommend_timesteps(*arguments)
