"""Learning by bursts in float64 NumPy, with both phases spelled out.

Layer by layer as published: burst rates with and without a teacher come down
side by side and are subtracted at the end. Weights are (in, out).
"""

import copy

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def forward(layers, x):
    """Event rates: the input's, then each layer's."""
    rates = [np.asarray(x, np.float64)]
    for layer in layers:
        rates.append(sigmoid(rates[-1] @ layer["W"] + layer["b"]))
    return rates


def sweep(layers, x, target, p0=0.2):
    """Return per layer a dict of delta, shadow (backprop), u, ut, prior.

    A layer is a dict of W, b, Y (how it sends down) and perhaps Z.
    """
    rates = forward(layers, x)
    e = rates[-1]
    b, bt = p0 * e, p0 * (1 + (target - e) * (1 - e)) * e
    shadow = (e - target) * e * (1 - e)
    found = [{"delta": b - bt, "shadow": shadow}]
    for n in range(len(layers) - 2, -1, -1):
        e, above = rates[n + 1], layers[n + 1]
        f, ft = b @ above["Y"].T, bt @ above["Y"].T
        prior = sigmoid(f) * e
        c = prior @ layers[n]["Z"].T if "Z" in layers[n] else 0
        u, ut = f * (1 - e) - c, ft * (1 - e) - c
        b, bt = sigmoid(u) * e, sigmoid(ut) * e
        shadow = (shadow @ above["W"].T) * e * (1 - e)
        signals = {"delta": b - bt, "shadow": shadow}
        found.insert(0, {**signals, "u": u, "ut": ut, "prior": prior})
    return rates, found


class Trainer:
    """SGD with momentum on copies of the layers.

    `rates` has one learning rate a layer. `kolen_pollack` gives each Y its
    kernel's updates. `tied` makes Y the kernel.
    """

    def __init__(
        self, layers, rates, momentum=0.0, decay=0.0, z_rate=0.0,
        kolen_pollack=False, tied=False,
    ):  # fmt: skip
        self.layers = copy.deepcopy(layers)
        self.rates, self.momentum, self.decay = rates, momentum, decay
        self.z_rate, self.learned, self.tied = z_rate, kolen_pollack, tied
        self.velocity = [{"W": 0.0, "b": 0.0, "Y": 0.0} for _ in self.layers]

    def step(self, x, target, weights=None):
        for layer in self.layers:
            if self.tied:
                layer["Y"] = layer["W"]
        events, found = sweep(self.layers, x, target)
        weights = np.ones(len(x)) if weights is None else weights
        for n, layer in enumerate(self.layers):
            delta = weights[:, None] * found[n]["delta"]
            kernel = events[n].T @ delta
            gradients = {"W": kernel, "b": delta.sum(0)}
            if self.learned:
                gradients["Y"] = kernel
            for name, gradient in gradients.items():
                v = self.momentum * self.velocity[n][name]
                v = self.velocity[n][name] = v - self.rates[n] * gradient
                lost = 0 if name == "b" else self.decay * layer[name]
                layer[name] = layer[name] + v - lost
            if "Z" in layer and "u" in found[n]:
                u = weights[:, None] * found[n]["u"]
                layer["Z"] = layer["Z"] + self.z_rate * u.T @ found[n]["prior"]
