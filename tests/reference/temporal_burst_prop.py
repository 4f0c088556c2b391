"""Temporal learning by bursts in float64 NumPy, one step at a time.

`MovingAverage` is the rule of 2021, `AsCoded` those of 2017. Both know a
batch of independent sequences, whose gradients are summed. Kernels W are
(inputs, units), feedback kernels Y (units, outputs): the output reaches every
hidden layer directly. `present` (batch,) says which sequences have a teacher
in this step. `reset` clears all but the weights.

In both a layer reads, through a trace, the rate that the layer below had in
the previous step, and the lowest reads the present input. So the layers run
from the top down:

    trace <- (trace + below) / 2,  e <- sigmoid(trace W + b)

A step of the moving-average rule, in this order; everything starts at 0 but
the averages, which start where a neuron without input would be, e_mean at 1/2
and b_mean at 1/4:

    1. traces and event rates of all layers, as above. `e` of the output is
       the prediction. The teacher never touches it.
    2. output bursts, with k the teacher's strength, p0 the burst probability,
       and the second term only where a teacher T is present:
           p = p0 (1 + k (T - e) (1 - e)),  b = p e
    3. in every hidden layer, from the same step's output bursts b:
           u = (1 - e) (Y b),  p = sigmoid(u)
    4. where there is no teacher, in every hidden layer:
           e_mean <- e_mean + a (e - e_mean)
           b_mean <- b_mean + a (p e - b_mean)
    5. where there is a teacher, in every layer, with the traces of step 1:
           delta = (p - p_mean) e
           W <- W + rate trace^T delta,  b <- b + rate sum(delta)
       p_mean = b_mean / max(e_mean, 1e-7) in hidden layers. In the output it
       is p0, which is what its average would be, so it keeps none.

Why so. Averages that moved in steps with a teacher would hide a part of the
next teacher's effect. The published strength is k = 1. The bursts also drift
because the rates do, and p - p_mean holds 1 / a steps of drift: k = 4 makes
the teacher's share four times as large, and with p0 = 0.2 lets the output's
burst probability use all of [0, 1] and not leave it. A hidden layer's change
of p is about k p0 sigmoid'(u) (1 - e) Y (T - e_out) e_out (1 - e_out).

On the sinusoids: rates 1 in hidden layers and 0.1 in the output, a = 1/2,
Y normal of standard deviation 1, kernels Glorot normal, biases 0.
"""

import numpy as np

# Published as commits fd8336a, 7df5f65 and 3cd91fb.
VARIANTS = (
    "weighted_burst_rate_change",
    "burst_rate_change",
    "burst_probability_change",
)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def copies(arrays):
    return [np.array(a, np.float64) for a in arrays]


def zeros(batch, widths):
    return [np.zeros((batch, width)) for width in widths]


class Network:
    """Weights, and how a layer runs and learns. `rates`: one a layer.

    `decay`: share of its kernel that a layer loses in each step in which it
    learns for any sequence.
    """

    def __init__(self, kernels, biases, feedback, rates, batch=1, decay=0.0):
        self.W, self.b, self.Y = map(copies, (kernels, biases, feedback))
        self.rates, self.decay = rates, decay
        self.reset(batch)

    def reset(self, batch):
        self.units = [len(b) for b in self.b]
        self.trace = zeros(batch, [len(W) for W in self.W])
        self.e = zeros(batch, self.units)

    def _rate(self, m, x):
        below = self.e[m - 1] if m else x
        self.trace[m] = (self.trace[m] + below) / 2
        return sigmoid(self.trace[m] @ self.W[m] + self.b[m])

    def _learn(self, m, delta, where):
        if not where.any():
            return
        delta = self.rates[m] * delta * where[:, None]
        lost = self.decay * self.W[m]
        self.W[m] = self.W[m] + self.trace[m].T @ delta - lost
        self.b[m] = self.b[m] + delta.sum(0)


class MovingAverage(Network):
    """The rule of 2021: bursts beyond the average burst probability."""

    def __init__(
        self, kernels, biases, feedback, rates, burst_probability=0.2,
        teacher_strength=4.0, average_rate=0.5, batch=1, decay=0.0,
    ):  # fmt: skip
        self.p0, self.strength = burst_probability, teacher_strength
        self.average_rate = average_rate
        super().__init__(kernels, biases, feedback, rates, batch, decay)

    def reset(self, batch):
        super().reset(batch)
        self.u = zeros(batch, self.units[:-1])
        self.p = zeros(batch, self.units)
        self.e_mean = [u + 1 / 2 for u in self.u]
        self.b_mean = [u + 1 / 4 for u in self.u]

    def step(self, x, target=None, present=None):
        """Advance, learn, and return the output's rates."""
        present = np.zeros(len(x), bool) if present is None else present
        target = 0 if target is None else target
        for m in range(len(self.W) - 1, -1, -1):
            self.e[m] = self._rate(m, x)
        e = self.e[-1]
        teacher = np.where(present[:, None], (target - e) * (1 - e), 0)
        self.p[-1] = self.p0 * (1 + self.strength * teacher)
        for m, e in enumerate(self.e[:-1]):
            self.u[m] = (1 - e) * (self.p[-1] * self.e[-1] @ self.Y[m].T)
            p = self.p[m] = sigmoid(self.u[m])
            gain = self.average_rate * ~present[:, None]
            self.e_mean[m] = self.e_mean[m] + gain * (e - self.e_mean[m])
            self.b_mean[m] = self.b_mean[m] + gain * (p * e - self.b_mean[m])
        for m, e in enumerate(self.e):
            self._learn(m, (self.p[m] - self.p_mean(m)) * e, present)
        return self.e[-1]

    def p_mean(self, m):
        if m == len(self.W) - 1:
            return self.p0
        return self.b_mean[m] / np.maximum(self.e_mean[m], 1e-7)


class AsCoded(Network):
    """The rules of 2017, with their gates and their timing.

    Layer m runs from step m + 1, feedback from step M + 2, M the number of
    layers. The published networks have M = 2. `apical_delay` 1 is the timing
    that was documented: feedback carries the output of the previous step.
    """

    def __init__(
        self, kernels, biases, feedback, rates, variant=VARIANTS[0],
        apical_delay=0, feedback_rate=0.0, batch=1, decay=0.0,
    ):  # fmt: skip
        self.variant = variant
        self.apical_delay, self.feedback_rate = apical_delay, feedback_rate
        super().__init__(kernels, biases, feedback, rates, batch, decay)

    def reset(self, batch):
        super().reset(batch)
        self.e_old = zeros(batch, self.units)
        self.apical_trace = np.zeros((batch, self.units[-1]))
        self.g, self.p, self.p_old, self.bursts, self.bursts_old = (
            zeros(batch, self.units[:-1]) for _ in range(5)
        )
        self.present = np.zeros(batch, bool)
        self.restart()

    def restart(self):
        """What the original does between epochs: the gates close again."""
        self.t = 0

    def step(self, x, target=None, present=None, generate=False):
        """Advance, learn, and return the output's rates without teacher."""
        present = np.zeros(len(x), bool) if present is None else present
        last = len(self.W) - 1
        for m in range(last, -1, -1):
            if self.t > m:
                self.e_old[m], self.e[m] = self.e[m], self._rate(m, x)
        free = self.e[last]
        if self.t > last and present.any():
            taught = np.where(present[:, None], target, free)
            self.e[last] = (free + taught) / 2
            e, old = self.e[last], self.e_old[last]
            self._learn(last, (e - old) * old * (1 - old), present)
        if self.t > last + 2:
            self._feed_back(generate)
            for m in range(last):
                self._learn(m, self._hidden_change(m), self.present)
        self.present = present
        self.t += 1
        return free

    def _feed_back(self, generate):
        trace_old = self.apical_trace
        output = (self.e_old if self.apical_delay else self.e)[-1]
        self.apical_trace = (trace_old + output) / 2
        for m in range(len(self.Y)):
            self.g[m] = self.apical_trace @ self.Y[m].T
            self.p_old[m], self.p[m] = self.p[m], sigmoid(self.g[m])
            e, p = self.e[m], self.p[m]
            self.bursts_old[m], self.bursts[m] = self.bursts[m], p * e
            change, trace = (e - p * e) * p * (1 - p), self.apical_trace
            if self.variant != "burst_probability_change":
                change, trace = e * change, trace_old
            self.Y[m] = self.Y[m] + self.feedback_rate * change.T @ trace
            if generate:
                self.e[m] = self.bursts[m]

    def _hidden_change(self, m):
        old = self.e_old[m]
        change = self.bursts[m] - self.bursts_old[m]
        if self.variant == "weighted_burst_rate_change":
            change = self.e[m] * change
        elif self.variant == "burst_probability_change":
            change = self.p[m] - self.p_old[m]
        return change * old * (1 - old)
