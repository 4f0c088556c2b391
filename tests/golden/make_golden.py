"""Write the golden files from the float64 references.

    python -m tests.golden.make_golden

Gradients are central differences of the reference, so nothing in a golden
file comes from Keras.
"""

import pathlib

import numpy as np

from tests.reference.gain_modulated_neuron import gain_modulated_neuron
from tests.reference.temporal_attention import temporal_attention

HERE = pathlib.Path(__file__).parent


def central_differences(function, arrays, step=1e-6):
    found = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            original = array[index]
            array[index] = original + step
            above = function(*arrays)
            array[index] = original - step
            below = function(*arrays)
            array[index] = original
            gradient[index] = (above - below) / (2 * step)
        found.append(gradient)
    return found


def make_temporal_attention():
    rng = np.random.default_rng(20211)
    batch, time, features, units = 3, 7, 6, 4
    names = ("inputs", "kernel", "bias", "gamma", "beta", "score_kernel")
    arrays = [
        rng.normal(size=(batch, time, features)),
        rng.normal(size=(features, units)) / 2,
        rng.normal(size=units) / 2,
        1 + rng.normal(size=units) / 4,
        rng.normal(size=units) / 4,
        rng.normal(size=(units, 1)),
    ]
    mask = np.ones((batch, time), bool)
    mask[0, 5:] = mask[1, :2] = mask[2, 3] = False
    upstream = rng.normal(size=(batch, features))
    scores_upstream = rng.normal(size=(batch, time))

    def objective(*values):
        output, scores = temporal_attention(*values, mask=mask)
        return np.sum(output * upstream) + np.sum(scores * scores_upstream)

    output, scores = temporal_attention(*arrays, mask=mask)
    differences = central_differences(objective, arrays)
    np.savez(
        HERE / "temporal_attention.npz",
        mask=mask,
        upstream=upstream,
        scores_upstream=scores_upstream,
        output=output,
        scores=scores,
        **dict(zip(names, arrays, strict=True)),
        **{
            f"gradient_{name}": gradient
            for name, gradient in zip(names, differences, strict=True)
        },
    )


def make_gain_modulated_neuron():
    rng = np.random.default_rng(2022)
    batch, time, features, units, hidden = 2, 5, 4, 5, 6
    cases = {
        "default": {},
        "feedback": {
            "controller_input": "input_and_output",
            "modulated": ("gain", "threshold", "softness"),
        },
    }
    found = {}
    for case, settings in cases.items():
        width = features + 1 if settings else 1
        parameters = len(settings.get("modulated", ("gain",)))
        shapes = {
            "inputs": (batch, time, features),
            "kernel": (features, units),
            "bias": (units,),
            "controller_kernel": (1, width, 4 * hidden),
            "recurrent_kernel": (1, hidden, 4 * hidden),
            "controller_bias": (1, 4 * hidden),
            "head_kernel": (1, hidden, parameters),
            "head_bias": (1, parameters),
        }
        arrays = [rng.normal(size=shape) / 2 for shape in shapes.values()]
        upstream = rng.normal(size=(batch, time, units))

        def run(x, *weights, names=tuple(shapes), settings=settings):
            w = dict(zip(names[1:], weights, strict=True))
            return gain_modulated_neuron(x, w, units=units, **settings)

        def objective(*arrays, run=run, upstream=upstream):
            return np.sum(run(*arrays)[0] * upstream)

        outputs = run(*arrays)
        differences = central_differences(objective, arrays)
        found |= {
            f"{case}/{name}": value
            for name, value in (
                *zip(shapes, arrays, strict=True),
                *zip(("output", "computed", "in_effect"), outputs, strict=True),
                *zip(
                    (f"gradient_{name}" for name in shapes),
                    differences,
                    strict=True,
                ),
                ("upstream", upstream),
            )
        }
    np.savez(HERE / "gain_modulated_neuron.npz", **found)


if __name__ == "__main__":
    make_temporal_attention()
    make_gain_modulated_neuron()
