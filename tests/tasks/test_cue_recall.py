import dataclasses

import numpy as np
import pytest

import keras_seqattn as ks

MAIN = ks.tasks.CueRecall()
LONG = ks.tasks.CueRecall(
    cue_duration=20,
    delay_range=(2, 35),
    query_duration=5,
    response_delay=5,
    response_duration=20,
    post_steps=1,
)


def reference_targets(x, task, query_step):
    """Read the cue and the query from noiseless inputs, step by step."""
    y = np.zeros_like(x)
    cue_end = task.cue_step + task.cue_duration
    height = x[task.cue_step]
    for t in range(task.cue_step, cue_end):
        assert x[t] == height
        y[t] = height
    t = cue_end
    while x[t] == 0:
        t += 1
    assert t == query_step
    for step in range(len(x)):
        inside = t <= step < t + task.query_duration
        if step < task.cue_step or step >= cue_end:
            assert x[step] == np.float32(task.query_amplitude * inside)
    first = t + task.response_delay
    for step in range(first, first + task.response_duration):
        y[step] = height
    return y


@pytest.mark.parametrize("task", [MAIN, LONG])
def test_targets_follow_from_the_inputs(task):
    task = dataclasses.replace(task, noise=0.0)
    batch = task.sample(300, seed=1)
    assert batch.x.dtype == batch.y.dtype == np.float32
    last_cue = task.cue_step + task.cue_duration - 1
    for row in range(len(batch)):
        query = batch.query_step[row, 0]
        want = reference_targets(batch.x[row], task, query)
        np.testing.assert_array_equal(batch.y[row], want)
        there = batch.x[row, task.cue_step, 0] > 0.4
        assert batch.answer[row, 0] == batch.values[row, 0] == there
        assert batch.delay[row, 0] == query - last_cue
        first = query + task.response_delay
        steps = list(range(first, first + task.response_duration))
        assert np.flatnonzero(batch.response[row]).tolist() == steps
        assert batch.response_steps[row, 0].tolist() == steps
        cue = list(range(task.cue_step, last_cue + 1))
        assert np.flatnonzero(batch.cue[row]).tolist() == cue
    assert not batch.keys.any() and not batch.query_key.any()


@pytest.mark.parametrize(
    "task, first, last", [(MAIN, 7, 82), (LONG, 26, 59)], ids=["main", "long"]
)
def test_steps_of_the_original(task, first, last):
    batch = task.sample(8000, seed=2)
    assert len(batch) == 8000
    assert batch.x.shape == batch.y.shape == (8000, 85, 1)
    assert (task.timesteps, task.features, task.outputs) == (85, 1, 1)
    steps, counts = np.unique(batch.query_step, return_counts=True)
    assert steps.tolist() == list(range(first, last + 1))
    expected = 8000 / len(steps)
    # Chi squared has mean n - 1 and variance 2 (n - 1).
    chi2 = np.sum((counts - expected) ** 2) / expected
    assert abs(chi2 - len(steps)) < 5 * np.sqrt(2 * len(steps))
    assert abs(batch.answer.mean() - 0.5) < 5 * 0.5 / np.sqrt(8000)


def test_heights_and_noise():
    batch = MAIN.sample(2000, seed=3)
    clean = np.zeros_like(batch.x)
    clean[:, 5, 0] = 0.8 * batch.answer[:, 0]
    clean[np.arange(2000), batch.query_step[:, 0], 0] = 0.6
    noise = batch.x - clean
    np.testing.assert_allclose(noise.std(), 0.01, rtol=0.02)
    assert abs(noise.mean()) < 1e-4
    assert set(np.unique(batch.y)) == {np.float32(0), np.float32(0.8)}


def test_seeds():
    one, same, other = (MAIN.sample(50, seed=s) for s in (1, 1, 2))
    generator = MAIN.sample(50, seed=np.random.default_rng(1))
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        np.testing.assert_array_equal(value, getattr(same, field.name))
        np.testing.assert_array_equal(value, getattr(generator, field.name))
    assert np.any(one.x != other.x)
    assert np.any(one.answer != other.answer)
    assert np.any(one.query_step != other.query_step)


def test_test_cases():
    cases = MAIN.test_cases()
    assert cases.query_step.tolist() == [[7], [44], [82]]
    assert cases.delay.tolist() == [[2], [39], [77]]
    assert cases.answer.tolist() == [[1]] * 3
    assert MAIN.correct(cases.y, cases).all()
    np.testing.assert_array_equal(cases.x, MAIN.test_cases(0).x)
    assert np.any(cases.x != MAIN.test_cases(1).x)


@pytest.mark.parametrize("task", [MAIN, LONG])
def test_correct(task):
    batch = task.sample(200, seed=4)
    right = task.correct(batch.y, batch)
    assert right.shape == (200, 1) and right.dtype == bool
    assert right.all()
    assert not task.correct(0.8 - batch.y, batch).any()
    np.testing.assert_array_equal(
        task.correct(batch.y * 0, batch), batch.answer == 0
    )
    # One NaN within the response is wrong, one before it does not count.
    first = batch.query_step[:, 0] + task.response_delay
    rows = np.arange(200)
    spoilt = batch.y.copy()
    spoilt[rows, first] = np.nan
    assert not task.correct(spoilt, batch).any()
    spoilt = batch.y.copy()
    spoilt[rows, first - 1] = np.nan
    assert task.correct(spoilt, batch).all()


def test_the_response_is_averaged():
    batch = LONG.sample(100, seed=5)
    outputs = np.zeros_like(batch.y)
    rows = np.arange(100)
    # 11 of 20 steps at 0.8 are a mean of 0.44, 9 of 20 one of 0.36.
    for count, says_cue in ((11, True), (9, False)):
        outputs[:] = 0
        for offset in range(count):
            outputs[rows, batch.query_step[:, 0] + 5 + offset] = 0.8
        np.testing.assert_array_equal(
            LONG.correct(outputs, batch), (batch.answer == 1) == says_cue
        )


def test_reference_levels_are_those_of_the_original():
    levels = MAIN.reference_levels(MAIN.sample(40_000, seed=6))
    # A share of 1/2 +- 0.0025 of the sequences has a cue.
    assert levels["zeros"].mse == pytest.approx(0.00753, rel=0.03)
    assert levels["cue copied"].mse == pytest.approx(0.003765, rel=0.03)
    mean = levels["cue copied, mean response"]
    assert mean.mse == pytest.approx(0.001882, rel=1e-3)
    for level in levels.values():
        assert level.accuracy == pytest.approx(MAIN.chance, abs=0.0125)


def test_reference_levels_by_hand():
    batch = LONG.sample(60, seed=7)
    share = batch.answer.mean()
    levels = LONG.reference_levels(batch)
    assert levels["zeros"].mse == pytest.approx(share * 0.64 * 40 / 85)
    assert levels["cue copied"].mse == pytest.approx(share * 0.64 * 20 / 85)
    assert levels["cue copied, mean response"].mse == pytest.approx(
        0.16 * 20 / 85
    )
    assert levels["zeros"].accuracy == pytest.approx(1 - share)


def test_a_list_is_a_delay_range():
    task = ks.tasks.CueRecall(delay_range=[2, 77])
    assert task == MAIN and hash(task) == hash(MAIN)


def test_accuracy_by_delay_against_a_loop():
    rng = np.random.default_rng(10)
    delay = rng.integers(2, 78, size=(500, 1))
    delay[:2, 0] = 2, 77
    correct = rng.random((500, 1)) < 0.7
    result = ks.tasks.accuracy_by_delay(correct, delay, bins=10)
    assert result.edges[0] == 1.5 and result.edges[-1] == 77.5
    np.testing.assert_allclose(np.diff(result.edges), 7.6)
    for number in range(10):
        low, high = result.edges[number : number + 2]
        inside = [
            bool(c)
            for c, d in zip(correct[:, 0], delay[:, 0], strict=True)
            if low <= d < high
        ]
        assert result.counts[number] == len(inside)
        assert result.accuracy[number] == pytest.approx(np.mean(inside))
        assert result.centers[number] == pytest.approx((low + high) / 2)


def test_accuracy_by_delay_edges():
    correct = np.array([[True, False], [True, True]])
    delay = np.array([[2, 3], [9, 30]])
    result = ks.tasks.accuracy_by_delay(correct, delay, bins=(2, 4, 6, 9))
    np.testing.assert_array_equal(result.edges, [2, 4, 6, 9])
    np.testing.assert_array_equal(result.counts, [2, 0, 1])  # 30 is outside
    np.testing.assert_array_equal(result.accuracy, [0.5, np.nan, 1.0])
    # Never more than one bin for each step.
    result = ks.tasks.accuracy_by_delay(correct[:1], delay[:1], bins=10)
    np.testing.assert_array_equal(result.centers, [2, 3])
    np.testing.assert_array_equal(result.accuracy, [1, 0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cue_step": -1}, "`cue_step` must be an integer that is not neg"),
        ({"cue_duration": 0}, "`cue_duration` must be a positive integer"),
        ({"delay_range": 5}, r"`delay_range` must be two integers"),
        ({"delay_range": (0, 5)}, r"smallest at least 1"),
        ({"delay_range": (6, 5)}, r"Received: delay_range=\(6, 5\)"),
        ({"delay_range": (1, 2, 3)}, "`delay_range` must be two integers"),
        ({"delay_range": (1.5, 2)}, "`delay_range` must be two integers"),
        ({"query_duration": 1.0}, "`query_duration` must be a positive int"),
        ({"response_delay": True}, "`response_delay` must be an integer that"),
        ({"response_duration": 0}, "`response_duration` must be a positive"),
        ({"post_steps": -1}, "`post_steps` must be an integer that is not"),
        ({"amplitude": 0}, "`amplitude` must be a finite number above 0"),
        ({"query_amplitude": "1"}, "`query_amplitude` must be a finite"),
        ({"noise": -0.1}, "`noise` must be a finite number that is not neg"),
        ({"noise": np.nan}, "`noise` must be a finite number that is not neg"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.CueRecall(**arguments)


def test_bad_calls():
    batch = MAIN.sample(4, seed=0)
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        MAIN.sample(0)
    with pytest.raises(
        ValueError, match=r"`batch.y`, \(4, 85, 1\). Received: .*\(4, 85\)"
    ):
        MAIN.correct(batch.y[..., 0], batch)


@pytest.mark.parametrize(
    "correct, delay, bins, message",
    [
        ([[1.0]], [[2]], 10, "`correct` must be a boolean array"),
        ([[True]], [2], 10, r"delay.shape=\(1,\)"),
        (np.zeros((0, 1), bool), np.zeros((0, 1)), 10, "not empty"),
        ([[True]], [[2]], 0, "`bins` must be a positive integer. Received"),
        ([[True]], [[2]], [3, 2], "edges that rise, at least two"),
        ([[True]], [[2]], [3], "edges that rise, at least two"),
    ],
)
def test_bad_bins(correct, delay, bins, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.accuracy_by_delay(np.array(correct), np.array(delay), bins)


def test_answers():
    task = ks.tasks.CueRecall()
    batch = task.sample(50, 0)
    np.testing.assert_array_equal(task.answers(batch.y, batch), batch.answer)
    wrong = task.answers(task.amplitude - batch.y, batch)
    np.testing.assert_array_equal(wrong, 1 - batch.answer)
