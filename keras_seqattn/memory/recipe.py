"""How the presets of `models.build_memory_network` are trained."""

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.memory.loss import RecallLoss

# Steps between two looks at the held-out sequences: what is an epoch where no
# sequence comes twice.
STEPS_PER_EPOCH = 50

_ONE_NEURON = Recipe(epochs=24, batch_size=64, learning_rate=1e-2, floor=0.05)
RECIPES: dict[str, Recipe] = {
    "one_neuron": _ONE_NEURON,
    "one_neuron_all": _ONE_NEURON,
    "one_neuron_adaptive": _ONE_NEURON,
    "factorial": Recipe(
        epochs=6, batch_size=64, learning_rate=1e-2, floor=0.05
    ),
    "additive": Recipe(epochs=8, batch_size=64, learning_rate=1e-2, floor=0.05),
    "association": Recipe(
        epochs=20, batch_size=32, learning_rate=1e-2, floor=0.05
    ),
}
"""By the names of the presets; also the `defaults` of a search."""

LOSSES: dict[str, RecallLoss] = {
    "one_neuron": RecallLoss("mse"),
    "one_neuron_all": RecallLoss("mse"),
    "one_neuron_adaptive": RecallLoss("mse"),
    "factorial": RecallLoss("mse"),
    "additive": RecallLoss("crossentropy"),
    "association": RecallLoss("crossentropy"),
}
"""By the same names."""
