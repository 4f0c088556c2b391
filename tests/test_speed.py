"""What the tables of speed compare gives the same numbers, and is told."""

import importlib

import numpy as np
import pytest
from keras import ops

from benchmarks.speed import __main__ as speed
from benchmarks.speed import gain_modulated_neuron
from benchmarks.speed import larnn


def test_a_window_projected_anew_gives_the_same():
    x = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")
    makers = larnn.layers(8, 2, 5)
    ours, naive = makers["LARNN"](), makers["its window projected anew"]()
    expected = ops.convert_to_numpy(ours(x))
    naive.build(x.shape)
    naive.set_weights(ours.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(naive(x)), expected, atol=1e-5
    )


def test_neuron_by_neuron_gives_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 25, 7)).astype("float32")
    ours = gain_modulated_neuron.Network()
    loop = gain_modulated_neuron.LoopedNetwork()
    for layer in (ours, loop):
        layer.build(x.shape)
    weights = [0.3 * rng.normal(size=w.shape) for w in ours.weights]
    ours.set_weights(weights)
    loop.set_weights(weights)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(x)),
        ops.convert_to_numpy(loop(x)),
        atol=1e-5,
    )


@pytest.mark.parametrize("table", speed.TABLES)
def test_each_table_has_a_place(table):
    module = importlib.import_module(f"benchmarks.speed.{table}")
    page = (speed.ROOT / "docs/results.md").read_text()
    marked = page.split(f"<!-- speed: {table} -->\n")[1]
    written = marked.split("<!-- end of speed -->")[0]
    assert module.CASES
    assert all(f"| **{case}** |" in written for case in module.CASES)


def test_ratios_are_of_one_round():
    found = {
        "peers": {
            "now": {
                "ours": {"first": 2.0, "rounds": [0.1, 0.2, 0.4]},
                "theirs": {"first": 1.0, "rounds": [0.1, 0.1, 0.1]},
            }
        },
        "before": {
            "now": {"ours": {"first": 3.0, "rounds": [0.2, 0.2, 0.2]}},
            "before": {"ours": {"first": 4.0, "rounds": [0.4, 0.2, 0.1]}},
        },
    }
    assert speed.column(found) == {
        "ours, ms": "200.0",
        "over theirs": "2.00 (1.50 - 3.00)",
        "first call, s": "3.0",
        "over itself before": "1.00 (0.75 - 1.50)",
        "first call before, s": "4.0",
    }
    del found["before"]["before"]  # There was no such thing.
    assert "over itself before" not in speed.column(found)


def test_a_page_keeps_its_other_text():
    page = "a\n<!-- speed: x -->\nold\n<!-- end of speed -->\nb\n"
    page += "<!-- speed: y -->\nkept\n<!-- end of speed -->\n"
    assert speed.write_into(page, "x", "new") == page.replace("old", "\nnew\n")
