"""Temporal learning by bursts in float64 NumPy, one step at a time.

A batch holds independent sequences; their gradients are summed. Kernels are
(inputs, units), feedback kernels (units, outputs): the output reaches every
hidden layer directly. `present` (batch,) says which sequences have a teacher.

Every layer first halves the distance of its trace to the rate of the layer
below, top layer first, so that it reads the rate of the previous step; only
the lowest reads the present one, the input.

    trace <- (trace + below) / 2,  e <- sigmoid(trace W + b)
"""

import numpy as np

VARIANTS = ("fd8336a", "7df5f65", "3cd91fb")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def copies(arrays):
    return [np.array(a, np.float64) for a in arrays]


def zeros(batch, widths):
    return [np.zeros((batch, width)) for width in widths]


class AsCoded:
    """The rules of 2017, with their gates and their timing.

    `rates` has one learning rate a layer. Layer m runs from step m + 1,
    feedback from step M + 2, M the number of layers. The published networks
    have M = 2.
    """

    def __init__(
        self, kernels, biases, feedback, rates, variant="fd8336a",
        apical_delay=0, feedback_rate=0.0, batch=1,
    ):  # fmt: skip
        self.W, self.b, self.Y = map(copies, (kernels, biases, feedback))
        self.rates, self.variant = rates, variant
        self.apical_delay, self.feedback_rate = apical_delay, feedback_rate
        self.reset(batch)

    def reset(self, batch):
        units = [len(b) for b in self.b]
        self.trace = zeros(batch, [len(W) for W in self.W])
        self.e, self.e_old = zeros(batch, units), zeros(batch, units)
        self.apical_trace = np.zeros((batch, units[-1]))
        self.g, self.p, self.p_old, self.bursts, self.bursts_old = (
            zeros(batch, units[:-1]) for _ in range(5)
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
                below = self.e[m - 1] if m else x
                self.trace[m] = (self.trace[m] + below) / 2
                self.e_old[m] = self.e[m]
                self.e[m] = sigmoid(self.trace[m] @ self.W[m] + self.b[m])
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
            if self.variant != "3cd91fb":
                change, trace = e * change, trace_old
            self.Y[m] = self.Y[m] + self.feedback_rate * change.T @ trace
            if generate:
                self.e[m] = self.bursts[m]

    def _hidden_change(self, m):
        old = self.e_old[m]
        change = self.bursts[m] - self.bursts_old[m]
        if self.variant == "fd8336a":
            change = self.e[m] * change
        elif self.variant == "3cd91fb":
            change = self.p[m] - self.p_old[m]
        return change * old * (1 - old)

    def _learn(self, m, change, where):
        change = self.rates[m] * change * where[:, None]
        self.W[m] = self.W[m] + self.trace[m].T @ change
        self.b[m] = self.b[m] + change.sum(0)
