import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.harness import FILES
from tests.fuzz.harness import Tally
from tests.fuzz.harness import try_one

BUDGET = 60


@pytest.mark.parametrize("name", [*DOORS, *FILES])
def test_wrong_input_is_told_or_right(name):
    tally = Tally()
    for seed in range(BUDGET):
        try_one(name, seed, tally)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.clear > BUDGET // 5
