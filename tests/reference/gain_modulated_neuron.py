"""Gain-modulated neurons in float64 NumPy: neuron by neuron, step by step."""

import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def softplus(x):
    return np.logaddexp(x, 0)


def gain_softplus(x, gain=1.0, threshold=1.0, softness=1.0):
    return gain * softplus(softness * (x - threshold)) / softness


def adaptive(x, n=1.0, s=0.5):
    return (1 - s) * softplus(n * x) / n + s * sigmoid(n * x)


ACTIVATIONS = {"gain_softplus": gain_softplus, "adaptive": adaptive}


def lstm(x, h, c, kernel, recurrent, bias):
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(x, h, c, kernel, recurrent, bias):
    zx, rx, nx = np.split(x @ kernel + bias[0], 3)
    zh, rh, nh = np.split(h @ recurrent + bias[1], 3)
    z = sigmoid(zx + zh)
    return z * h + (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh), c


def rnn(x, h, c, kernel, recurrent, bias):
    return np.tanh(x @ kernel + h @ recurrent + bias), c


CONTROLLERS = {"lstm": lstm, "gru": gru, "rnn": rnn}


def parameter(name, raw, rest, signed):
    if name in ("softness", "n") and not signed:
        # rest = 0.05 + softplus(shift)
        return 0.05 + softplus(raw + np.log(np.expm1(rest - 0.05)))
    if name == "s" and not signed:
        return sigmoid(raw + np.log(rest / (1 - rest)))
    return rest + raw


def gain_modulated_neuron(
    x,
    w,
    *,
    units,
    controller="lstm",
    activation="gain_softplus",
    modulated=("gain",),
    controller_input="preactivation",
    lag=1,
    first_step="regular",
    connection="dense",
    signed=False,
    rest=None,
):
    """Run over (batch, time, features), weights by their names.

    Controller and head have a leading axis of neurons, or of length 1 if all
    neurons share them.

    Returns:
        Outputs (batch, time, units), parameters computed and in effect
        (batch, time, units, parameters).
    """
    w = {name: np.asarray(value, "float64") for name, value in w.items()}
    x = x.astype("float64")
    batch, time, _ = x.shape
    rest = rest or {}
    outputs = np.zeros((batch, time, units))
    computed = np.zeros((batch, time, units, len(modulated)))
    effective = np.zeros((batch, time, units, len(modulated)))

    def rest_of(name):
        return rest.get(name, 0.5 if name == "s" else 1.0)

    hidden_units = w["recurrent_kernel"].shape[1]
    for b in range(batch):
        for n in range(units):
            own = {
                name: w[name][n if len(w[name]) > 1 else 0]
                for name in (
                    *("controller_kernel", "recurrent_kernel"),
                    *("controller_bias", "head_kernel", "head_bias"),
                )
            }
            h = c = np.zeros(hidden_units)
            y = 0.0
            history = []
            for t in range(time):
                seen = x[b, t]
                if connection == "one_to_one":
                    seen = seen[n : n + 1]
                    a = seen[0] * w["kernel"][0, 0] + w["bias"][0]
                else:
                    a = seen @ w["kernel"][:, n] + w["bias"][n]
                u = {
                    "preactivation": np.array([a]),
                    "input": seen,
                    "input_and_output": np.append(seen, y),
                }[controller_input]
                if t == 0 and first_step == "skip":
                    raw = np.zeros(len(modulated))
                else:
                    h, c = CONTROLLERS[controller](
                        u,
                        h,
                        c,
                        own["controller_kernel"],
                        own["recurrent_kernel"],
                        own["controller_bias"],
                    )
                    raw = h @ own["head_kernel"] + own["head_bias"]
                history.append(raw)
                if t == 0 and first_step == "wrap":
                    used = raw
                elif t < lag:
                    used = np.zeros(len(modulated))
                else:
                    used = history[t - lag]
                values = [
                    [
                        parameter(name, r, rest_of(name), signed)
                        for name, r in zip(modulated, numbers, strict=True)
                    ]
                    for numbers in (raw, used)
                ]
                computed[b, t, n], effective[b, t, n] = values
                named = dict(zip(modulated, values[1], strict=True))
                y = ACTIVATIONS[activation](a, **{**rest, **named})
                outputs[b, t, n] = y
    return outputs, computed, effective
