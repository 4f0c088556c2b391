import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest

import keras_seqattn as ks

ADDITIVE = ks.tasks.additive_task()
FACTORIAL = ks.tasks.factorial_task()
GENERAL = ks.tasks.CueAssociation(
    num_keys=6,
    num_values=5,
    num_pairs=4,
    num_queries=3,
    key_order="fixed",
    repeat_values=False,
    cue_step=3,
    cue_duration=2,
    cue_gap=1,
    delay_range=(3, 30),
    query_duration=2,
    response_delay=1,
    response_duration=3,
    post_steps=2,
    amplitude=1.0,
    query_amplitude=0.7,
    distractor_rate=0.4,
    go_channel=True,
)
VARIANTS = {
    "additive": ADDITIVE,
    "factorial": FACTORIAL,
    "general": GENERAL,
    "general simultaneous": dataclasses.replace(
        GENERAL, presentation="simultaneous", cue_gap=0
    ),
    "scalar": dataclasses.replace(GENERAL, key_code="scalar"),
    "random code": dataclasses.replace(GENERAL, key_code="random"),
    "recall alone": dataclasses.replace(GENERAL, copy_cue=False),
    "no go channel": dataclasses.replace(GENERAL, go_channel=False),
    "one pair": ks.tasks.additive_task(num_pairs=1, delay_range=(1, 1)),
}
PER_TASK = pytest.mark.parametrize(
    "task", VARIANTS.values(), ids=VARIANTS.keys()
)


def read_one_hot(features, height):
    """Return the index of the one active feature, or None if all are 0."""
    active = [i for i, value in enumerate(features) if value != 0]
    if not active:
        return None
    assert len(active) == 1
    assert features[active[0]] == np.float32(height)
    return active[0]


def test_additive_targets_follow_from_the_inputs():
    batch = ADDITIVE.sample(400, seed=0)
    assert batch.x.shape == (400, 25, 7) and batch.y.shape == (400, 25, 4)
    assert batch.x.dtype == batch.y.dtype == np.float32
    for row in range(400):
        memory = {}
        want = np.zeros((25, 4), np.float32)
        order = []
        queries = []
        for step in range(25):
            person = read_one_hot(batch.x[row, step, :4], 0.8)
            slot = read_one_hot(batch.x[row, step, 4:], 0.8)
            if step in (2, 3, 4):
                assert person is not None and slot is not None
                memory[slot] = person
                order.append(slot)
                want[step, person] = 0.8
            elif slot is not None:
                assert person is None
                queries.append(step)
                want[step, memory[slot]] = 0.8
                assert batch.query_key[row, 0] == slot
                assert batch.answer[row, 0] == memory[slot]
            else:
                assert person is None
        assert sorted(order) == [0, 1, 2]
        assert batch.keys[row].tolist() == order
        assert batch.values[row].tolist() == [memory[s] for s in order]
        assert batch.query_step[row].tolist() == queries
        assert batch.delay[row, 0] == queries[0] - 4
        np.testing.assert_array_equal(batch.y[row], want)
        assert np.flatnonzero(batch.cue[row]).tolist() == [2, 3, 4]
        assert np.flatnonzero(batch.response[row]).tolist() == queries


def test_factorial_targets_follow_from_the_inputs():
    batch = FACTORIAL.sample(400, seed=0)
    assert batch.x.shape == batch.y.shape == (400, 20, 12)
    for row in range(400):
        want = np.zeros((20, 12), np.float32)
        people = [
            read_one_hot(batch.x[row, 2, 4 * slot : 4 * slot + 4], 0.8)
            for slot in range(3)
        ]
        assert None not in people
        want[2] = batch.x[row, 2]
        go = [t for t in range(20) if t != 2 and batch.x[row, t].any()]
        (step,) = go
        slot = next(s for s in range(3) if batch.x[row, step, 4 * s] == 0.5)
        query = np.zeros(12)
        query[4 * slot : 4 * slot + 4] = 0.5
        np.testing.assert_array_equal(batch.x[row, step], query)
        want[step, 4 * slot + people[slot]] = 0.8
        np.testing.assert_array_equal(batch.y[row], want)
        by_slot = dict(zip(batch.keys[row], batch.values[row], strict=True))
        assert [by_slot[s] for s in range(3)] == people
        assert batch.query_key[row, 0] == slot
        assert batch.answer[row, 0] == people[slot]
        assert batch.query_step[row, 0] == step
        assert batch.delay[row, 0] == step - 2
        assert np.flatnonzero(batch.cue[row]).tolist() == [2]
        assert np.flatnonzero(batch.response[row]).tolist() == [step]


def decode(task, features):
    """Return the (key, value) pairs and the query in one step's features."""
    features = np.asarray(features, np.float64)
    go = 0.0
    if task.go_channel:
        go, features = features[-1], features[:-1]
    close = {"rtol": 0, "atol": 1e-6}
    if task.presentation == "simultaneous":
        pairs, query = [], None
        for key, part in enumerate(features.reshape(-1, task.num_values)):
            if np.allclose(part, task.query_amplitude, **close):
                query = key
            elif part.any():
                pairs.append((key, read_one_hot(part, task.amplitude)))
        return pairs, query, go
    value = read_one_hot(features[: task.num_values], task.amplitude)
    code = features[task.num_values :]
    height = task.query_amplitude if value is None else task.amplitude
    if task.key_code == "scalar":
        height = 1
    key = None
    if code.any():
        (key,) = [
            k
            for k in range(task.num_keys)
            if np.allclose(code, height * task.key_codes[k], **close)
        ]
    if value is not None:
        assert key is not None
        return [(key, value)], None, go
    return [], key, go


def channel(task, key, value):
    simultaneous = task.presentation == "simultaneous"
    return task.num_values * key + value if simultaneous else value


@PER_TASK
def test_any_task_against_a_reader(task):
    """A reader of `x` alone, which knows when cues end, makes `y`."""
    batch = task.sample(40, seed=3)
    distractors = 0
    for row in range(40):
        memory = {}
        starts = {}  # of the queries, by key
        want = np.zeros((task.timesteps, task.outputs), np.float32)
        for step in range(task.timesteps):
            pairs, query, go = decode(task, batch.x[row, step])
            if task.go_channel:
                assert go == np.float32(
                    0 if query is None else task.query_amplitude
                )
            for key, value in pairs:
                if batch.cue[row, step]:
                    assert not starts
                    assert memory.get(key, value) == value
                    memory[key] = value
                    if task.copy_cue:
                        want[step, channel(task, key, value)] = task.amplitude
                else:
                    distractors += 1
                    assert not starts
                    # So it can never change an answer.
                    assert key not in memory
            if query is not None and query not in starts:
                starts[query] = step
                first = step + task.response_delay
                last = first + task.response_duration
                value = channel(task, query, memory[query])
                want[first:last, value] = task.amplitude
            assert (query is not None) == any(
                start <= step < start + task.query_duration
                for start in starts.values()
            )
        np.testing.assert_array_equal(batch.y[row], want)
        assert memory == dict(
            zip(batch.keys[row], batch.values[row], strict=True)
        )
        assert len(memory) == task.num_pairs
        assert list(starts) == batch.query_key[row].tolist()
        assert list(starts.values()) == batch.query_step[row].tolist()
        assert [memory[key] for key in starts] == batch.answer[row].tolist()
        last_cue = np.flatnonzero(batch.cue[row])[-1]
        np.testing.assert_array_equal(
            batch.delay[row], batch.query_step[row] - last_cue
        )
        steps = [
            start + task.response_delay + np.arange(task.response_duration)
            for start in starts.values()
        ]
        np.testing.assert_array_equal(batch.response_steps[row], steps)
        np.testing.assert_array_equal(
            np.flatnonzero(batch.response[row]), np.ravel(steps)
        )
        if task.key_order == "fixed":
            assert sorted(batch.keys[row]) == batch.keys[row].tolist()
        if not task.repeat_values:
            assert len(set(batch.values[row])) == task.num_pairs
    assert bool(distractors) == bool(task.distractor_rate)


@pytest.mark.parametrize(
    "task, steps, timesteps",
    [(ADDITIVE, range(6, 24), 25), (FACTORIAL, range(4, 19), 20)],
    ids=["additive", "factorial"],
)
def test_query_steps_of_the_original(task, steps, timesteps):
    batch = task.sample(3000, seed=1)
    assert task.timesteps == timesteps
    found, counts = np.unique(batch.query_step, return_counts=True)
    assert found.tolist() == list(steps)
    assert_uniform(counts)


def test_steps_of_the_pairs():
    cues = {
        "general": [3, 4, 6, 7, 9, 10, 12, 13],
        "general simultaneous": [3, 4],
    }
    for name, steps in cues.items():
        batch = VARIANTS[name].sample(300, seed=1)
        assert (batch.cue == np.isin(np.arange(batch.x.shape[1]), steps)).all()
        # The longest delay is 30; a query and its response take 4 steps.
        assert batch.x.shape[1] == steps[-1] + 30 + 4 + 2
        assert batch.delay.min() == 3 and batch.delay.max() == 30
        assert (batch.query_step - batch.delay == steps[-1]).all()


def assert_uniform(counts):
    """Chi squared has mean n - 1 and variance 2 (n - 1)."""
    counts = np.ravel(counts)
    expected = counts.sum() / len(counts)
    chi2 = np.sum((counts - expected) ** 2) / expected
    freedom = len(counts) - 1
    assert abs(chi2 - freedom) < 5 * np.sqrt(2 * freedom), counts


@pytest.mark.parametrize("task", [ADDITIVE, FACTORIAL])
def test_marginals_are_uniform(task):
    batch = task.sample(9000, seed=2)
    orders = Counter(map(tuple, batch.keys.tolist()))
    values = Counter(map(tuple, batch.values.tolist()))
    both = Counter(zip(batch.query_key[:, 0], batch.answer[:, 0], strict=True))
    position = np.argmax(batch.keys == batch.query_key, axis=1)
    assert len(orders) == 6 and len(values) == 64 and len(both) == 12
    for counts in (orders, values, both, Counter(position)):
        assert_uniform(list(counts.values()))


def test_marginals_of_a_subset():
    task = ks.tasks.CueAssociation(
        num_keys=4, num_pairs=2, num_queries=2, repeat_values=False
    )
    batch = task.sample(9000, seed=2)
    for array, size in (
        (batch.keys, 12),
        (batch.query_key, 12),
        (batch.values, 12),
        (batch.answer, 12),
    ):
        counts = Counter(map(tuple, array.tolist()))
        assert len(counts) == size
        assert_uniform(list(counts.values()))


def test_several_queries_take_every_allowed_set_of_steps():
    task = ks.tasks.additive_task(
        num_queries=2, delay_range=(2, 7), response_duration=2
    )
    batch = task.sample(6000, seed=4)
    allowed = [
        pair
        for pair in itertools.combinations(range(2, 8), 2)
        if pair[1] - pair[0] >= 2
    ]
    counts = Counter(map(tuple, batch.delay.tolist()))
    assert sorted(counts) == allowed
    assert_uniform(list(counts.values()))


def test_the_shortest_range_that_holds_the_queries():
    task = ks.tasks.additive_task(
        num_queries=3, delay_range=(2, 6), query_duration=2
    )
    batch = task.sample(20, seed=0)
    assert (batch.delay == [2, 4, 6]).all()
    assert (task.test_cases().delay == [2, 4, 6]).all()


def test_distractors():
    task = ks.tasks.CueAssociation(
        num_keys=5, num_pairs=3, delay_range=(10, 20), distractor_rate=0.25
    )
    batch = task.sample(3000, seed=5)
    active = batch.x[..., :4].any(axis=-1) & ~batch.cue
    free = np.sum(batch.delay - 1)
    share = active.sum() / free
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / free)
    # Never on the query, whose people features are all 0, nor after it.
    assert not active[batch.response].any()
    after = np.arange(task.timesteps) > batch.query_step
    assert not batch.x[after].any()
    shown = batch.x[active]
    assert_uniform(np.bincount(shown[:, :4].argmax(axis=1)))
    assert_uniform(np.bincount(shown[:, 4:].argmax(axis=1)))


def test_noise_and_amplitudes():
    task = ks.tasks.additive_task(
        noise=0.05, amplitude=1.0, query_amplitude=0.5
    )
    batch = task.sample(2000, seed=6)
    clean = np.zeros_like(batch.x)
    rows = np.arange(2000)
    for pair in range(3):
        clean[rows, 2 + pair, batch.values[:, pair]] = 1.0
        clean[rows, 2 + pair, 4 + batch.keys[:, pair]] = 1.0
    clean[rows, batch.query_step[:, 0], 4 + batch.query_key[:, 0]] = 0.5
    noise = batch.x - clean
    np.testing.assert_allclose(noise.std(), 0.05, rtol=0.01)
    assert abs(noise.mean()) < 5e-4
    assert set(np.unique(batch.y)) == {0.0, 1.0}


def test_key_codes():
    scalar = ks.tasks.CueAssociation(key_code="scalar")
    np.testing.assert_allclose(scalar.key_codes[:, 0], [0.1, 0.5, 0.9])
    assert scalar.features == 5
    one, same, other = (
        ks.tasks.CueAssociation(key_code="random", key_code_seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.key_codes, same.key_codes)
    assert np.any(one.key_codes != other.key_codes)
    np.testing.assert_allclose(np.linalg.norm(one.key_codes, axis=1), 1)
    assert one.features == 7
    np.testing.assert_array_equal(ADDITIVE.key_codes, np.eye(3))


@PER_TASK
def test_seeds(task):
    one, same, other = (task.sample(50, seed=s) for s in (1, 1, 2))
    generator = task.sample(50, seed=np.random.default_rng(1))
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        np.testing.assert_array_equal(value, getattr(same, field.name))
        np.testing.assert_array_equal(value, getattr(generator, field.name))
    assert np.any(one.x != other.x)
    assert np.any(one.answer != other.answer)


@pytest.mark.parametrize(
    "task, steps",
    [(ADDITIVE, [7, 15, 23]), (FACTORIAL, [4, 11, 18])],
    ids=["additive", "factorial"],
)
def test_test_cases_of_the_original(task, steps):
    cases = task.test_cases()
    assert cases.query_step[:, 0].tolist() == steps
    assert cases.query_key[:, 0].tolist() == [0, 2, 1]
    assert task.correct(cases.y, cases).all()
    np.testing.assert_array_equal(cases.x, task.test_cases(0).x)
    assert any(np.any(cases.x != task.test_cases(s).x) for s in (1, 2))


@PER_TASK
def test_test_cases_of_any_task(task):
    for seed in range(20):
        cases = task.test_cases(seed)
        assert len(cases) == 3
        shortest, longest = task.delay_range
        assert shortest <= cases.delay.min()
        assert cases.delay.max() == cases.delay[2, -1] == longest
        first = cases.delay[:, 0]
        assert first[1] == (first[0] + first[2]) // 2
        assert cases.query_key[:, 0].tolist() == [
            key % task.num_keys for key in (0, 2, 1)
        ]
        for row in range(3):
            memory = dict(zip(cases.keys[row], cases.values[row], strict=True))
            assert len(memory) == task.num_pairs
            assert [memory[key] for key in cases.query_key[row]] == (
                cases.answer[row].tolist()
            )


def slow_correct(task, outputs, batch):
    right = np.zeros(batch.answer.shape, bool)
    for row, query in np.ndindex(*batch.answer.shape):
        first = batch.query_step[row, query] + task.response_delay
        scores = outputs[row, first : first + task.response_duration].mean(0)
        if task.presentation == "simultaneous":
            start = task.num_values * batch.query_key[row, query]
            scores = scores[start : start + task.num_values]
        answer = batch.answer[row, query]
        right[row, query] = all(
            scores[answer] > score
            for value, score in enumerate(scores)
            if value != answer
        )
    return right


@PER_TASK
def test_correct_against_a_loop(task):
    batch = task.sample(100, seed=7)
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=batch.y.shape) + 0.5 * batch.y
    want = slow_correct(task, outputs, batch)
    np.testing.assert_array_equal(task.correct(outputs, batch), want)
    assert 0 < want.mean() < 1


@PER_TASK
def test_a_perfect_predictor(task):
    batch = task.sample(100, seed=8)
    right = task.correct(batch.y, batch)
    assert right.dtype == bool and right.shape == (100, task.num_queries)
    assert right.all()
    assert not task.correct(-batch.y, batch).any()


@PER_TASK
def test_ties_and_nan_are_wrong(task):
    batch = task.sample(60, seed=9)
    assert not task.correct(np.zeros_like(batch.y), batch).any()
    assert not task.correct(np.full_like(batch.y, np.nan), batch).any()
    assert not task.correct(np.full_like(batch.y, np.inf), batch).any()
    # The right value is NaN; then all others are.
    for bad in (batch.y > 0, batch.y == 0):
        assert not task.correct(np.where(bad, np.nan, batch.y), batch).any()
    # The right value has company.
    tied = batch.y.copy()
    tied[batch.response] = tied[batch.response].max(axis=-1, keepdims=True)
    assert not task.correct(tied, batch).any()


def test_other_slots_do_not_count():
    batch = FACTORIAL.sample(60, seed=10)
    outputs = batch.y.copy()
    rows = np.arange(60)
    other = (batch.query_key[:, 0] + 1) % 3
    outputs[rows, batch.query_step[:, 0], 4 * other] = 9.0
    assert FACTORIAL.correct(outputs, batch).all()


def test_queries_are_judged_one_by_one():
    batch = GENERAL.sample(60, seed=11)
    for query in range(3):
        outputs = batch.y.copy()
        for row in range(60):
            outputs[row, batch.response_steps[row, query]] *= -1
        right = GENERAL.correct(outputs, batch)
        want = [[number != query for number in range(3)]] * 60
        assert right.tolist() == want


def most_frequent_share(draws):
    draws = list(draws)
    counts = [max(Counter(draw).values()) / len(draw) for draw in draws]
    return sum(counts) / len(counts)


@pytest.mark.parametrize(
    "pairs, values", [(1, 2), (2, 4), (3, 4), (4, 4), (5, 3), (4, 8), (6, 2)]
)
def test_no_binding_accuracy_by_enumeration(pairs, values):
    task = ks.tasks.CueAssociation(
        num_keys=pairs, num_pairs=pairs, num_values=values
    )
    draws = itertools.product(range(values), repeat=pairs)
    assert task.no_binding_accuracy == pytest.approx(
        most_frequent_share(draws), abs=1e-12
    )
    if pairs <= values:
        task = dataclasses.replace(task, repeat_values=False)
        draws = itertools.permutations(range(values), pairs)
        assert task.no_binding_accuracy == pytest.approx(
            most_frequent_share(draws), abs=1e-12
        )


@pytest.mark.parametrize(
    "pairs, values, want",
    [(3, 4, 0.5625), (2, 4, 0.625), (4, 8, 0.412), (8, 9, 0.311)],
)
def test_no_binding_accuracy_as_published(pairs, values, want):
    task = ks.tasks.CueAssociation(
        num_keys=8, num_pairs=pairs, num_values=values
    )
    assert task.no_binding_accuracy == pytest.approx(want, abs=5e-4)
    assert task.chance == 1 / values


@pytest.mark.parametrize(
    "task, want",
    [
        (ADDITIVE, [0.0256, 0.0064, 0.0048, 0.0032]),
        (FACTORIAL, [0.010667, 0.002667, 0.0020, 0.32 / 240]),
    ],
    ids=["additive", "factorial"],
)
def test_reference_levels_of_the_original(task, want):
    levels = task.reference_levels(task.sample(20_000, seed=14))
    assert list(levels) == [
        "zeros",
        "cue copied",
        "cue copied, mean response",
        "cue copied, right values, no binding",
    ]
    zeros, copied, mean, unbound = levels.values()
    # The first three do not depend on what was drawn.
    for level, mse in zip((zeros, copied, mean), want[:3], strict=True):
        assert level.mse == pytest.approx(mse, rel=2e-4)
    assert unbound.mse == pytest.approx(want[3], rel=0.02)
    assert zeros.accuracy == copied.accuracy == 0
    # Five standard deviations of a share at 20,000 sequences.
    assert mean.accuracy == pytest.approx(task.chance, abs=0.016)
    assert unbound.accuracy == pytest.approx(
        task.no_binding_accuracy, abs=0.018
    )


def test_reference_levels_by_hand():
    batch = GENERAL.sample(200, seed=15)
    levels = GENERAL.reference_levels(batch)
    size = GENERAL.timesteps * 5
    responses = 3 * 3  # queries, and steps of each
    cues = 4 * 2
    assert levels["zeros"].mse == pytest.approx((cues + responses) / size)
    assert levels["cue copied"].mse == pytest.approx(responses / size)
    mean = levels["cue copied, mean response"].mse
    assert mean == pytest.approx(responses * (1 - 1 / 5) / size, rel=1e-4)
    # Four different values, each 1/4 at every response.
    unbound = levels["cue copied, right values, no binding"]
    assert unbound.mse == pytest.approx(
        responses * (1 - 1 / 4) / size, rel=1e-4
    )
    assert unbound.accuracy == pytest.approx(0.25, abs=0.1)


def test_presets_take_changes():
    task = ks.tasks.factorial_task(num_values=5, delay_range=[2, 30])
    assert (task.features, task.outputs, task.timesteps) == (15, 15, 34)
    assert task.query_amplitude == 0.5
    assert task.delay_range == (2, 30)
    task = ks.tasks.additive_task(amplitude=1.0, go_channel=True)
    assert (task.features, task.outputs, task.timesteps) == (8, 4, 25)
    assert ADDITIVE == ks.tasks.CueAssociation()
    assert len({ADDITIVE, FACTORIAL, ks.tasks.CueAssociation()}) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_keys": 0}, "`num_keys` must be a positive integer"),
        ({"num_values": 1}, "`num_values` must be at least 2"),
        ({"num_values": 2.0}, "`num_values` must be a positive integer"),
        ({"num_pairs": 4}, "`num_pairs` must not be above `num_keys`"),
        ({"num_queries": 4}, "`num_queries` must not be above `num_pairs`"),
        ({"num_queries": 0}, "`num_queries` must be a positive integer"),
        (
            {"num_values": 2, "repeat_values": False},
            "`num_pairs` must not be above `num_values` if",
        ),
        ({"presentation": "both"}, "`presentation` must be one of"),
        ({"key_order": "rising"}, "`key_order` must be one of"),
        ({"key_code": "binary"}, "`key_code` must be one of"),
        ({"key_code_seed": -1}, "`key_code_seed` must be an integer that"),
        ({"cue_gap": -1}, "`cue_gap` must be an integer that is not neg"),
        ({"cue_step": 1.5}, "`cue_step` must be an integer that is not neg"),
        ({"delay_range": (0, 3)}, "`delay_range` must be two integers"),
        ({"noise": -1}, "`noise` must be a finite number that is not neg"),
        ({"distractor_rate": 1}, "`distractor_rate` must be a number in"),
        ({"distractor_rate": 0.1}, "Distractors need a key that is not shown"),
        (
            {"presentation": "simultaneous", "cue_gap": 1},
            "`cue_gap` must be 0 and `key_code` 'one_hot' if",
        ),
        (
            {"presentation": "simultaneous", "key_code": "scalar"},
            "Received: cue_gap=0, key_code='scalar'",
        ),
        (
            {"num_queries": 3, "delay_range": (2, 5), "query_duration": 2},
            "`delay_range` must span 4 steps or more, for 3 queries of 2",
        ),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.CueAssociation(**arguments)


def test_bad_calls():
    batch = ADDITIVE.sample(4, seed=0)
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        ADDITIVE.sample(-1)
    with pytest.raises(ValueError, match=r"`batch.y`, \(4, 25, 4\). Received"):
        ADDITIVE.correct(batch.y[:, -1], batch)


@pytest.mark.parametrize("presentation", ["sequential", "simultaneous"])
def test_answers(presentation):
    task = ks.tasks.CueAssociation(
        num_keys=4, num_queries=2, presentation=presentation
    )
    batch = task.sample(50, 0)
    np.testing.assert_array_equal(task.answers(batch.y, batch), batch.answer)
    wrong = task.answers(-batch.y, batch)
    assert not np.any(wrong == batch.answer)
