"""The network that the tests of BurstPropNetwork train, and its reference."""

import itertools

import keras
import numpy as np
from keras import ops

from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy
from tests.reference.burst_prop import Trainer
from tests.reference.temporal_burst_prop import AsCoded
from tests.reference.temporal_burst_prop import MovingAverage

SIZES = [5, 6, 4, 3]
RATES = [0.5, 0.4, 0.3]
Z_RATE = 0.05
EVERYTHING = {
    "feedback": "kolen_pollack",
    "recurrent": True,
    "weight_decay": 1e-3,
}
CONFIGURATIONS = {
    "random": {},
    "tied": {"feedback": "tied"},
    "decay": {"weight_decay": 1e-3},
    "recurrent": {"recurrent": True},
    "everything": EVERYTHING,
}
_rng = np.random.default_rng(3)
X = _rng.normal(size=(24, SIZES[0])).astype("float32")
CLASSES = _rng.integers(SIZES[-1], size=24)
Y = np.eye(SIZES[-1], dtype="float32")[CLASSES]


def random_layers(sizes=SIZES, seed=5):
    """Weights in general position, as the reference holds them."""
    rng = np.random.default_rng(seed)
    return [
        {
            "W": rng.normal(size=shape),
            "Y": rng.normal(size=shape),
            "b": 0.3 * rng.normal(size=shape[1]),
            "Z": 0.3 * rng.normal(size=(shape[1], shape[1])),
        }
        for shape in itertools.pairwise(sizes)
    ]


def network(layers=None, **arguments):
    """A network with the reference's weights."""
    layers = layers or random_layers()
    features = len(layers[0]["W"])
    model = BurstPropNetwork([len(layer["b"]) for layer in layers], **arguments)
    model.build((None, features))
    set_weights(model, layers)
    return model


def set_weights(model, layers):
    for layer, values in zip(model.burst_layers, layers, strict=True):
        layer.kernel.assign(values["W"])
        layer.bias.assign(values["b"])
        if layer.feedback != "tied":
            layer.feedback_kernel.assign(values["Y"])
        if layer.recurrent:
            layer.recurrent_kernel.assign(values["Z"])


def compiled_network(optimizer=None, compile_arguments=(), **arguments):
    """The network, ready to be fitted as `reference` is."""
    model = network(
        recurrent_learning_rate=Z_RATE,
        learning_rate_multipliers=[rate / RATES[0] for rate in RATES],
        **arguments,
    )
    model.compile(
        optimizer or keras.optimizers.SGD(RATES[0], 0.8),
        "mse",
        **dict(compile_arguments),
    )
    return model


def reference(
    feedback="random", recurrent=False, weight_decay=0.0, momentum=0.8
):  # fmt: skip
    layers = random_layers()
    for layer in layers:
        if not recurrent:
            del layer["Z"]
    return Trainer(
        layers,
        RATES,
        momentum,
        decay=weight_decay,
        z_rate=Z_RATE,
        kolen_pollack=feedback == "kolen_pollack",
        tied=feedback == "tied",
    )


def train(trainer, epochs=1, batch=8, sample_weight=None):
    """The batches of `fit` without shuffling."""
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            part = slice(start, start + batch)
            weight = None if sample_weight is None else sample_weight[part]
            trainer.step(X[part], Y[part], weight)
    return trainer


def weights(model):
    """Arrays in a fixed order: each layer's W, b, Y and Z."""
    found = []
    for number, layer in enumerate(model.burst_layers):
        found += [layer.kernel, layer.bias]
        found += [layer.feedback_kernel] if number else []
        found += [layer.recurrent_kernel] if layer.recurrent else []
    return to_numpy(found)


def reference_weights(trainer):
    found = []
    last = len(trainer.layers) - 1
    for number, layer in enumerate(trainer.layers):
        found += [layer["W"], layer["b"]]
        if number:
            found.append(layer["W"] if trainer.tied else layer["Y"])
        if "Z" in layer and number < last:
            found.append(layer["Z"])
    return found


def difference(model, trainer):
    """Largest absolute difference of any weight."""
    pairs = zip(weights(model), reference_weights(trainer), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


# Mode "temporal": three sequences, each with its own teacher on a third of
# the steps. Where there is none the target is NaN: nobody may read it.

TEMPORAL_SIZES = [4, 6, 5, 2]
TEMPORAL_RATES = [0.5, 0.4, 0.2]
STEPS = 60
_rng = np.random.default_rng(8)
SEQUENCES = _rng.uniform(size=(3, STEPS, 4)).astype("float32")
TARGETS = _rng.uniform(size=(3, STEPS, 2)).astype("float32")
TAUGHT = _rng.uniform(size=(3, STEPS)) < 1 / 3
TAUGHT_TARGETS = np.where(TAUGHT[..., None], TARGETS, np.float32(np.nan))
TEACHER = TAUGHT.astype("float32")


def temporal_reference(
    variant="moving_average",
    apical_delay=1,
    feedback_learning_rate=0.0,
    weight_decay=0.0,
    batch=3,
    **numbers,
):
    """The float64 network, from the arguments of the model."""
    rng = np.random.default_rng(9)
    shapes = list(itertools.pairwise(TEMPORAL_SIZES))
    weights = (
        [rng.normal(size=shape) for shape in shapes],
        [0.3 * rng.normal(size=units) for _, units in shapes],
        [rng.normal(size=(n, TEMPORAL_SIZES[-1])) for n in TEMPORAL_SIZES[1:3]],
        TEMPORAL_RATES,
    )
    common = {"batch": batch, "decay": weight_decay}
    if variant == "moving_average":
        return MovingAverage(*weights, **common, **numbers)
    return AsCoded(
        *weights,
        variant=variant,
        apical_delay=apical_delay,
        feedback_rate=feedback_learning_rate,
        **common,
    )


def temporal_network(
    reference, metrics=(), batch=None, compile_arguments=(), **arguments
):
    """A compiled network with the weights and rates of a reference."""
    rates = reference.rates
    model = BurstPropNetwork(
        reference.units,
        mode="temporal",
        learning_rate_multipliers=[rate / rates[0] for rate in rates],
        **arguments,
    )
    model.build((batch, None, len(reference.W[0])))
    set_temporal_weights(model, reference)
    model.compile(
        keras.optimizers.SGD(float(rates[0])),
        "mse",
        metrics=list(metrics),
        **dict(compile_arguments),
    )
    return model


def set_temporal_weights(model, reference):
    for variable, value in zip(
        _temporal_variables(model),
        [*reference.W, *reference.b, *reference.Y],
        strict=True,
    ):
        variable.assign(value)


def run_temporal(reference, x=SEQUENCES, y=TARGETS, taught=None, **options):
    """The output's rates in each step, `(batch, time, outputs)`."""
    return np.stack(
        [
            reference.step(
                x[:, t],
                y[:, t],
                None if taught is None else taught[:, t],
                **options,
            )
            for t in range(x.shape[1])
        ],
        axis=1,
    )


def temporal_difference(model, reference):
    """Largest absolute difference of any weight."""
    expected = [*reference.W, *reference.b, *reference.Y]
    found = to_numpy(_temporal_variables(model))
    pairs = zip(found, expected, strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


def _temporal_variables(model):
    layers = model.burst_layers
    return [
        *(layer.kernel for layer in layers),
        *(layer.bias for layer in layers),
        *model.feedback_kernels,
    ]


class KeepOutputs(keras.metrics.Metric):
    """Keeps what the network said in each step of the last batch."""

    def __init__(self, shape):
        super().__init__(name="kept")
        self.outputs = self.add_variable(shape, "zeros", name="outputs")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.outputs.assign(y_pred)

    def result(self):
        return ops.mean(self.outputs)
