"""LARNN in float64 NumPy: every step projects its whole window anew."""

import numpy as np


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def position(age, window_size):
    count = int(np.ceil(np.log2(4 * window_size)))
    return np.array(
        [np.cos(2 * np.pi * age / 2**i) for i in range(1, count + 1)]
        + [np.sin(2 * np.pi * age / 2**i) for i in range(2, count + 2)]
    )


def larnn(
    x,
    w,
    num_heads,
    window_size,
    *,
    positions=True,
    activation=True,
    normalization=None,
    training=False,
):
    """Run over (batch, time, features), weights by their names in Keras.

    Returns:
        Outputs (batch, time, units), cells (batch, time, units), attention
        (batch, time, heads, window), and for batch statistics a dictionary
        of lists, one (mean, variance) a step.
    """
    w = {name: np.asarray(value, "float64") for name, value in w.items()}
    batch, time, _ = x.shape
    units = len(w["output_bias"])
    width = units // num_heads
    x = x.astype("float64")
    statistics = {}

    def norm(name, value, kind=None):
        if normalization is None:
            return value
        if normalization == "layer":
            mean = value.mean(-1, keepdims=True)
            variance = value.var(-1, keepdims=True)
        elif training:
            axes = tuple(range(value.ndim - 1))
            mean, variance = value.mean(axes), value.var(axes)
            statistics.setdefault(name, []).append((mean, variance))
        else:
            mean = w[f"{name}_norm/moving_mean"]
            variance = w[f"{name}_norm/moving_variance"]
            if name == "key_value":
                mean, variance = mean[kind], variance[kind]
        epsilon = 1e-5 if normalization == "batch" else 1e-3
        hat = (value - mean) / np.sqrt(variance + epsilon)
        return hat * w[f"{name}_norm/gamma"] + w[f"{name}_norm/beta"]

    past = [np.zeros((batch, units))]
    hidden = np.zeros((batch, units))
    outputs, cells = [], []
    attention = np.zeros((batch, time, num_heads, window_size))
    for t in range(time):
        now = x[:, t]
        query = elu(
            now @ w["query_kernel"]
            + hidden @ w["query_recurrent_kernel"]
            + w["query_bias"]
        )
        seen = past[-window_size:]
        projected = []
        for kind, name in enumerate(("key", "value")):
            rows = []
            for index, cell in enumerate(seen):
                row = cell @ w[f"{name}_kernel"] + w[f"{name}_bias"]
                if positions:
                    age = position(len(seen) - index, window_size)
                    row = row + age @ w[f"{name}_position_kernel"]
                rows.append(row)
            rows = np.stack(rows)
            if activation:
                rows = norm("key_value", elu(rows), kind)
            projected.append(rows)
        keys, values = projected
        attended = np.zeros((batch, units))
        for head in range(num_heads):
            part = slice(head * width, (head + 1) * width)
            scores = np.einsum("bd,kbd->kb", query[:, part], keys[..., part])
            scores = np.exp(scores / np.sqrt(width))
            scores /= scores.sum(0)
            attended[:, part] = np.einsum(
                "kb,kbd->bd", scores, values[..., part]
            )
            attention[:, t, head, window_size - len(seen) :] = scores.T
        heard = norm(
            "attention", elu(attended @ w["output_kernel"] + w["output_bias"])
        )
        gates = (
            now @ w["kernel"]
            + hidden @ w["recurrent_kernel"]
            + heard @ w["attention_kernel"]
            + w["bias"]
        )
        candidate, forget, write, read = np.split(gates, 4, axis=1)
        cell = np.tanh(candidate) * sigmoid(write) + past[-1] * sigmoid(forget)
        cell = norm("cell", cell)
        hidden = norm("hidden", sigmoid(read) * elu(cell))
        past.append(cell)
        outputs.append(hidden)
        cells.append(cell)
    return np.stack(outputs, 1), np.stack(cells, 1), attention, statistics
