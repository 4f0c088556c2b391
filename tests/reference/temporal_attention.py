"""TemporalAttention in float64 NumPy, one sequence at a time."""

import numpy as np


def layer_norm(z, gamma, beta, epsilon):
    centered = z - z.mean()
    return gamma * centered / np.sqrt((centered**2).mean() + epsilon) + beta


def temporal_attention(
    inputs, kernel, bias, gamma, beta, score_kernel, epsilon=1e-3,
    activation=np.tanh, mask=None,
):  # fmt: skip
    """Return (output, attention scores). `gamma=None`: no normalization."""
    inputs = np.asarray(inputs, np.float64)
    if mask is None:
        mask = np.ones(inputs.shape[:2], bool)
    outputs = np.zeros((inputs.shape[0], inputs.shape[2]))
    attention = np.zeros(inputs.shape[:2])
    for n, sequence in enumerate(inputs):
        kept = np.flatnonzero(mask[n])
        if not len(kept):
            continue
        scores = []
        for t in kept:
            z = sequence[t] @ kernel + bias
            if gamma is not None:
                z = layer_norm(z, gamma, beta, epsilon)
            scores.append(float((activation(z) @ score_kernel).item()))
        weights = np.exp(np.array(scores) - max(scores))
        weights /= weights.sum()
        attention[n, kept] = weights
        outputs[n] = sum(
            w * sequence[t] for w, t in zip(weights, kept, strict=True)
        )
    return outputs, attention
