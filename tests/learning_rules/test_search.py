import numpy as np
import pytest

from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules import RateSearch
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.learning_rules.search import Run
from keras_seqattn.learning_rules.search import search_rates


def test_search_tries_each_part_of_a_range_once():
    search = RateSearch(10, 2, output=(1e-3, 1e-1), ratio=(2.0, 32.0), seed=4)
    drawn = np.array(list(search))
    assert drawn.shape == (10, 2) and len(search) == 10
    np.testing.assert_array_equal(drawn, list(search))
    for column, (low, high) in zip(
        drawn.T, ((1e-3, 1e-1), (2.0, 32.0)), strict=True
    ):
        share = np.log(column / low) / np.log(high / low)
        np.testing.assert_array_equal(
            np.sort(np.floor(10 * share)), np.arange(10)
        )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"trials": 0}, "`trials` must be a positive integer"),
        ({"finalists": 0}, "`finalists` must be a positive integer"),
        ({"repeats": -1}, "`repeats` must be an integer that is not negative"),
        ({"seed": -1}, "`seed` must be an integer that is not negative"),
        ({"output": (0.1, 0.1)}, "`output` must be two numbers above 0"),
        ({"ratio": (0.0, 1.0)}, "`ratio` must be two numbers above 0"),
    ],
)
def test_search_checks(settings, message):
    with pytest.raises(ValueError, match=message):
        RateSearch(**settings)


SEARCH = RateSearch(trials=3, finalists=2, repeats=2)
BAD, LUCKY, STEADY = SEARCH


def search_with(errors, worst=1.0, verbose=0):
    """Trainings whose errors are known: by rates, one a seed, NaN if lost."""
    seeds = []

    def train(rates, seed):
        seeds.append((rates, seed))
        error = errors[rates][seed - FIRST_SEED]
        if np.isnan(error):
            raise EndedInNaN("lost")
        return Run(error, error / 2, {"seed": [seed]})

    return search_rates("rule", SEARCH, train, worst, verbose), seeds


def test_the_bar_shows_the_least_error(capsys):
    search_with(
        {LUCKY: [0.1, 0.9, 0.8], STEADY: [0.2, 0.3, 0.1], BAD: [0.5]},
        verbose=1,
    )
    last = capsys.readouterr().out.splitlines()[-1]
    assert "7/7" in last and "least error: 0.1000" in last


def test_the_best_mean_of_the_finalists_wins():
    (trials, best), seeds = search_with(
        {LUCKY: [0.1, 0.9, 0.8], STEADY: [0.2, 0.3, 0.1], BAD: [0.5]}
    )
    assert best.rates == STEADY and best is trials[1]
    assert best.errors == (0.2, 0.3, 0.1) and best.mses == (0.1, 0.15, 0.05)
    np.testing.assert_allclose(best.score, (0.2, 0.1))
    assert [h["seed"][0] - FIRST_SEED for h in best.histories] == [0, 1, 2]
    # By their first training; those that are no finalists have one.
    assert [trial.rates for trial in trials] == [LUCKY, STEADY, BAD]
    assert trials[2].errors == (0.5,)
    # All rates from the first seed, then the finalists from the others.
    assert seeds == [
        *((rates, FIRST_SEED) for rates in SEARCH),
        *((LUCKY, FIRST_SEED + n) for n in (1, 2)),
        *((STEADY, FIRST_SEED + n) for n in (1, 2)),
    ]


def test_a_lost_training_counts_as_the_worst(capsys):
    (trials, best), _ = search_with(
        {
            LUCKY: [0.1, np.nan, 0.1],
            STEADY: [0.2, 0.3, 0.1],
            BAD: [np.nan],
        },
        verbose=1,
    )
    assert best.rates == STEADY
    assert trials[0].errors == (0.1, 1.0, 0.1)
    assert trials[0].to_dict()["mses"] == [0.05, None, 0.05]
    assert trials[2].errors == (1.0,) and trials[2].histories == ({},)
    shown = capsys.readouterr().out
    assert "rule, learning rates" in shown and "7/7" in shown


def test_a_finite_error_is_never_worse_than_a_lost_training():
    (_, best), _ = search_with(
        {LUCKY: [np.nan] * 3, STEADY: [7.0, 8.0, 9.0], BAD: [np.nan] * 3},
        worst=np.inf,
    )
    assert best.rates == STEADY


def test_a_search_in_which_all_are_lost():
    lost = dict.fromkeys(SEARCH, [np.nan] * 3)
    with pytest.raises(ValueError, match=r"every rate .*, rule ended in NaN"):
        search_with(lost)
