"""Write a small file of every model, for later versions to load.

    KERAS_BACKEND=jax python -m tests.compatibility.make_files

The files of a version stay as they are for good: a later version adds a
folder of its own. With them are inputs, and the outputs they gave.
"""

import functools
import pathlib
import sys
import zipfile

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn._training.recipe import OPTIMIZERS
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.learning_rules.images.methods import FeedbackAlignmentNetwork
from keras_seqattn.learning_rules.images.methods import HalfSumOfSquares
from keras_seqattn.learning_rules.images.methods import Shrink
from keras_seqattn.learning_rules.images.optimizer import LayerwiseSGD
from keras_seqattn.learning_rules.sequences.methods import (
    SequenceBackpropagation,
)
from keras_seqattn.learning_rules.sequences.methods import (
    SequenceFeedbackAlignment,
)

FOLDER = pathlib.Path(__file__).parent
TIME, FEATURES = 7, 3


def decoder(**settings):
    return ks.models.build_neural_decoder(
        *(None, FEATURES), units=4, head_units=3, **settings
    )


def classifier(**settings):
    return ks.models.build_activity_classifier(
        *(None, FEATURES, 4),
        **{
            **{"units": 4, "num_heads": 2, "window_size": 3},
            **{"stem_filters": (2,), "stem_kernel_size": 3},
            **settings,
        },
    )


def memory(preset, **sizes):
    return ks.models.build_memory_network(
        preset, features=FEATURES, controller_units=4, **sizes
    )


def recurrent(layer):
    x = keras.Input((None, FEATURES), name="x")
    return keras.Model(x, layer(x))


def temporal(network):
    network.build((None, None, FEATURES))
    return network


def trained(network, optimizer, loss="mse"):
    """With the state of an optimizer in the file."""
    network.compile(optimizer, loss)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, FEATURES)), rng.uniform(size=(4, 2))
    network.fit(x, y, verbose=0)
    return network


def dense(layer):
    x = keras.Input((FEATURES,), name="x")
    return keras.Model(x, layer(x))


MODELS = {
    "decoder_attention_lstm": lambda: decoder(use_score_bias=True),
    "decoder_last_gru_bidirectional": lambda: decoder(
        cell="gru", pooling="last", num_layers=2, bidirectional=True
    ),
    "decoder_last_rnn": lambda: decoder(cell="rnn", pooling="last"),
    "classifier_larnn": lambda: classifier(),
    "classifier_larnn_batch_norm": lambda: classifier(
        num_layers=2, normalization="batch", residual=True, projection_units=4
    ),
    "classifier_lstm_attention": lambda: classifier(
        cell="lstm", pooling="attention"
    ),
    "memory_one_neuron": lambda: memory("one_neuron"),
    "memory_one_neuron_all": lambda: memory("one_neuron_all"),
    "memory_one_neuron_adaptive": lambda: memory("one_neuron_adaptive"),
    "memory_factorial": lambda: memory("factorial", units=FEATURES),
    "memory_additive": lambda: memory("additive", units=4),
    "memory_association": lambda: memory("association", units=4, outputs=2),
    "burst_prop_rate": lambda: trained(
        ks.models.BurstPropNetwork(
            [4, 2], feedback="kolen_pollack", recurrent=True
        ),
        keras.optimizers.Adam(0.01),
    ),
    "burst_prop_temporal": lambda: temporal(
        ks.models.BurstPropNetwork([4, 2], mode="temporal")
    ),
    "burst_prop_dense": lambda: dense(ks.layers.BurstPropDense(4)),
    "larnn_cell": lambda: recurrent(
        keras.layers.RNN(
            ks.layers.LARNNCell(4, num_heads=2, window_size=3),
            return_sequences=True,
        )
    ),
    "gain_modulated_neuron_cell": lambda: recurrent(
        keras.layers.RNN(
            ks.layers.GainModulatedNeuronCell(4, controller_units=4)
        )
    ),
    "feedback_alignment": lambda: trained(
        FeedbackAlignmentNetwork([4, 2]),
        LayerwiseSGD(0.1, ratio=2.0, momentum=0.9),
        HalfSumOfSquares(),
    ),
    # The movement of as many units as features, from windows of any numbers.
    "decoder_deployed": lambda: ks.decoding.DecodingData(
        ks.tasks.simulated_reaching(bins=200, units=FEATURES),
        TIME,
        transform=None,
    ).deploy(decoder(cell="rnn", pooling="last")),
    "decoder_standardized": lambda: ks.decoding.DecodingData(
        ks.tasks.simulated_reaching(bins=200, units=FEATURES),
        TIME,
        transform=None,
    ).deploy(decoder(cell="gru", pooling="last")),
    "shrinking_weights": lambda: dense(
        keras.layers.Dense(2, kernel_constraint=Shrink(1e-3))
    ),
    "sequence_backpropagation": lambda: temporal(
        SequenceBackpropagation([4, 2], mode="temporal")
    ),
    "sequence_feedback_alignment": lambda: temporal(
        SequenceFeedbackAlignment([4, 2], mode="temporal")
    ),
}
# The state of an average that warms up.
for _name in OPTIMIZERS:
    MODELS[f"averaged_{_name}"] = functools.partial(
        lambda name: trained(
            dense(keras.layers.Dense(2)),
            Recipe(optimizer=name, average="epoch").make_optimizer(2),
        ),
        _name,
    )
# One time step and its states.
for _name in ("decoder_last_rnn", "classifier_larnn", "burst_prop_temporal"):
    MODELS[f"step_of_{_name}"] = functools.partial(
        lambda name: ks.streaming.step_model(MODELS[name]()), _name
    )


def write(folder, name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    rng = np.random.default_rng(0)
    # Zeros and ones would hide a weight that is not loaded.
    model.set_weights(
        [w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()]
    )
    model.save(folder / f"{name}.keras")
    compress(folder / f"{name}.keras")
    loaded = keras.saving.load_model(folder / f"{name}.keras")
    named = NamedModel(loaded)
    given = inputs(named)
    outputs = named.name(loaded.predict(named.pack(given), verbose=0))
    return {
        **{f"{name}/inputs/{key}": x for key, x in given.items()},
        **{f"{name}/outputs/{key}": y for key, y in outputs.items()},
    }


def inputs(named):
    rng = np.random.default_rng(1)
    return {
        name: rng.normal(
            size=(2, *(size or TIME for size in spec.shape[1:]))
        ).astype(spec.dtype)
        for name, spec in named.inputs.items()
    }


def compress(path):
    """Keras stores its members as they are, most of them empty space."""
    with zipfile.ZipFile(path) as archive:
        members = {x.filename: archive.read(x) for x in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def main():
    folder = FOLDER / ks.__version__
    arrays, names = {}, list(MODELS)
    if "--add" in sys.argv:
        with np.load(folder / "numbers.npz") as file:
            arrays = dict(file)
        names = [n for n in names if not (folder / f"{n}.keras").exists()]
    elif folder.exists() and "--replace" not in sys.argv:
        sys.exit(
            f"error: {folder} exists. Files of a release stay as they are; "
            "before one, write the missing ones with --add, all with --replace."
        )
    else:
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
    for name in names:
        arrays |= write(folder, name)
        size = (folder / f"{name}.keras").stat().st_size
        print(f"{name}: {size / 1024:.0f} kB")
    np.savez_compressed(folder / "numbers.npz", **arrays)


if __name__ == "__main__":
    main()
