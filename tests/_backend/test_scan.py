import functools

import keras
import numpy as np

from keras_seqattn._backend.scan import scan
from keras_seqattn._backend.scan import scan_back
from tests.backend import compiled
from tests.backend import to_numpy
from tests.layer_checks import assert_same

TIME, WINDOW, BATCH, WIDTH = 7, 3, 2, 4


def arrays():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(TIME, BATCH, WIDTH)).astype("float32"),
        rng.normal(size=(WINDOW, BATCH, WIDTH)).astype("float32"),
        rng.normal(size=(TIME + WINDOW, 1)).astype("float32"),
    )


def run(x, start, fixed, fused=False):
    def step(carry, row, window):
        (total,) = carry
        total = total + row["x"]
        new = total + keras.ops.sum(window["rows"], axis=0)
        outputs = {
            "total": total,
            "mean": keras.ops.mean(window["rows"], axis=0),
            "fixed": keras.ops.sum(window["fixed"], axis=0),
        }
        return (total,), outputs, {"rows": 0.5 * new}

    (carry,), outputs, history = scan(
        step,
        (x[0] * 0,),
        {"x": x},
        {"rows": start},
        fixed={"fixed": fixed},
        fused=fused,
    )
    return carry, outputs, history["rows"]


def test_carry_outputs_windows_and_history():
    x, start, fixed = arrays()
    history, totals, means = list(start), [], []
    for t in range(TIME):
        totals.append(x[: t + 1].sum(0))
        means.append(np.mean(history[-WINDOW:], axis=0))
        history.append(0.5 * (totals[-1] + sum(history[-WINDOW:])))
    expected = (
        totals[-1],
        {
            "fixed": np.stack(
                [fixed[t : t + WINDOW].sum(0) for t in range(TIME)]
            ),
            "mean": np.stack(means),
            "total": np.stack(totals),
        },
        np.stack(history),
    )
    tensors = [keras.ops.convert_to_tensor(a) for a in arrays()]
    assert_same(run(*tensors), expected, 1e-5)
    assert_same(compiled(run)(*tensors), expected, 1e-5)
    fused = compiled(functools.partial(run, fused=True))
    assert_same(fused(*tensors), expected, 1e-5)


def test_scan_back_is_the_adjoint():
    """<scan(a), b> = <a, scan_back(b)> for a loop linear in rows and start."""
    x, start, _ = arrays()
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(WINDOW, 1, 1)).astype("float32")
    upstream = rng.normal(size=(TIME + WINDOW, BATCH, WIDTH)).astype("float32")
    factors = rng.normal(size=(TIME + WINDOW, 1, 1)).astype("float32")

    def forward(x, start, factors, fused=False):
        def step(carry, row, window):
            read = weights * window["factors"] * window["rows"]
            new = row["x"] + keras.ops.sum(read, axis=0)
            return carry, {"new": new}, {"rows": new}

        _, _, history = scan(
            step,
            (x[0],),
            {"x": x},
            {"rows": start},
            fixed={"factors": factors},
            fused=fused,
        )
        return history["rows"]

    def backward(upstream, factors, fused=False):
        def step(carry, row, window, row_gradient):
            d_new = row["direct"] + row_gradient
            return carry, {"x": d_new}, weights * window["factors"] * d_new

        _, outputs, d_start = scan_back(
            step,
            (upstream[0],),
            {"direct": upstream[WINDOW:]},
            keras.ops.zeros_like(upstream[:WINDOW]),
            fixed={"factors": factors},
            fused=fused,
        )
        return outputs["x"], d_start + upstream[:WINDOW]

    weights = keras.ops.convert_to_tensor(weights)
    x_, start_, upstream_, factors_ = map(
        keras.ops.convert_to_tensor, (x, start, upstream, factors)
    )
    fused = functools.partial(functools.partial, fused=True)
    for wrap in (lambda f: f, compiled, lambda f: compiled(fused(f))):
        history = to_numpy(wrap(forward)(x_, start_, factors_))
        d_x, d_start = to_numpy(wrap(backward)(upstream_, factors_))
        np.testing.assert_allclose(
            np.sum(history * upstream),
            np.sum(x * d_x) + np.sum(start * d_start),
            rtol=1e-4,
        )


def test_the_newest_rows_may_have_a_gradient_from_elsewhere():
    _, start, _ = arrays()

    def step(carry, row, window, row_gradient):
        return (
            carry,
            {"seen": row_gradient},
            0 * keras.ops.tile(row_gradient[None], (WINDOW, 1, 1)),
        )

    tensor = keras.ops.convert_to_tensor(start)
    _, outputs, first = scan_back(step, (tensor[0],), {"x": tensor[:2]}, tensor)
    # Two steps back: the two newest rows were these steps' own.
    assert_same(outputs["seen"], start[1:], 0)
    assert_same(first, np.concatenate([np.zeros((2, BATCH, WIDTH)), start[:1]]))
