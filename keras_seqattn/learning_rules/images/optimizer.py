"""SGD with a learning rate for each layer."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_seqattn")
class LayerwiseSGD(keras.optimizers.SGD):
    """SGD in which each layer learns `ratio` times as fast as the one above.

    The output layer has `learning_rate`, the one below it `learning_rate *
    ratio`, the next one `learning_rate * ratio**2`. With
    `models.BurstPropNetwork` it is what `learning_rate_multipliers=[ratio**2,
    ratio, 1]` is. Here the ratio is a variable, so that a search can change it
    without compiling anew, and any Keras model can have it. Clipping sees
    gradients with their factors.

    Args:
        learning_rate: Number above 0, the output layer's.
        ratio: Number, not negative. With 0 the output layer alone learns.
            Default: 1.
        **kwargs: As for `keras.optimizers.SGD`.

    Example:
    ```python
    import keras
    import numpy as np
    from keras_seqattn.learning_rules import LayerwiseSGD

    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    model.compile(LayerwiseSGD(0.1, ratio=0.0), "mse")
    x, y = np.ones((5, 4)), np.ones((5, 2))
    model.build(x.shape)
    before = model.get_weights()
    model.train_on_batch(x, y)
    pairs = zip(before, model.get_weights(), strict=True)
    print([bool(abs(new - old).max() > 0) for old, new in pairs])
    # [False, False, True, True]
    ```
    """

    def __init__(
        self, learning_rate: float = 0.01, ratio: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self._first_ratio = float(ratio)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.ratio = self.add_variable(
            (),
            initializer=keras.initializers.Constant(self._first_ratio),
            name="ratio",
        )
        # Variables of one layer have one path before their name.
        layers = [variable.path.rpartition("/")[0] for variable in variables]
        order = list(dict.fromkeys(layers))
        self._depths = {
            variable.path: len(order) - 1 - order.index(layer)
            for variable, layer in zip(variables, layers, strict=True)
        }

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        # A factor of a gradient is one of SGD's learning rate.
        if not self.built:
            self.build(trainable_variables)
        paths = list(self._depths)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            paths = [variable.path for variable in trainable_variables]
        scaled = [
            gradient
            if gradient is None
            else gradient
            * ops.power(
                ops.cast(self.ratio, gradient.dtype), self._depths[path]
            )
            for gradient, path in zip(grads, paths, strict=True)
        ]
        super().apply(scaled, trainable_variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self._first_ratio}
