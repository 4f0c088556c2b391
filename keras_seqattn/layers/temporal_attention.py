"""TemporalAttention: score each timestep, softmax over time, weighted sum."""

from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.capabilities import fuses_layer_normalization
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_mask
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn.layers._precision import at_least_float32


@keras.saving.register_keras_serializable(package="keras_seqattn")
class TemporalAttention(keras.layers.Layer):
    """Pools a sequence into one vector by attention over its timesteps.

    A small network gives every timestep one score. A softmax over time turns
    the scores into weights, and the output is the weighted sum of the
    timesteps. The weights tell which timesteps the pooled vector was made of:
    `keras_seqattn.decoding.select_timesteps` turns them into a window length.

    Take it when you want to see which timesteps count, or would take a mean
    or a maximum over time, which it beats; the last state of a recurrent
    layer was as good (`docs/when_to_take_which.md`).

    With timestep vectors `h_t` of `F` features:

    ```
    z_t = W h_t + b                        kernel (F, units), bias (units,)
    u_t = activation(layer_norm(z_t))      gamma, beta (units,)
    s_t = v . u_t                          score_kernel (units,)
    a_t = exp(s_t) / sum_j exp(s_j)        attention scores, sum to 1
    output = sum_t a_t h_t
    ```

    Reference:
        [Yang et al., Sensors 21(19), 6372, 2021](
        https://doi.org/10.3390/s21196372). The authors' code uses `tanh`
        after a layer normalization; their text says ReLU and has no
        normalization. Both are settings here. Their score has a bias, which
        the softmax cancels (`use_score_bias=True` adds it, for the same
        parameter count).

    Args:
        units: Positive integer, width of the scoring network. Default: half
            the input features; of fewer than 4 features 4 units, or 1 without
            `normalize`.
        activation: Activation of the scoring network, any Keras identifier.
            `"tanh"` (default) as in the authors' code, `"relu"` as in their
            text.
        normalize: Whether to normalize the scoring network's projection over
            its `units` before the activation. Default: `True`.
        epsilon: Added to the variance of the normalization, above 0.
            Default: `1e-3`, as in `keras.layers.LayerNormalization`.
        use_score_bias: Whether to add a scalar to every score. It changes no
            output and gets no gradient. Default: `False`.
        dropout: Rate in [0, 1) at which attention weights are dropped in
            training. Default: 0.
        seed: Optional integer, seeds the dropout.
        kernel_initializer, bias_initializer, score_initializer: Initializers
            of `kernel`, `bias` and `score_kernel`.
        kernel_regularizer, bias_regularizer, score_regularizer: Regularizers
            of the same weights.
        kernel_constraint, bias_constraint, score_constraint: Constraints of
            the same weights.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        inputs: Float tensor of shape `(batch, time, features)`.
        mask: Optional boolean tensor of shape `(batch, time)`, `True` where a
            timestep counts. Keras passes the mask of the layer before.
        return_attention_scores: Python boolean. If `True`, returns
            `(output, attention_scores)`. Default: `False`.
        training: Python boolean, whether dropout is on.

    Input shape:
        `(batch, time, features)`. The time axis may be free (`None`).

    Output shape:
        `(batch, features)`; with `return_attention_scores=True` also
        `(batch, time)`. The returned scores are those applied, so in training
        they show the dropout.

    Masking:
        Masked timesteps get weight 0 and neither their content nor their
        gradient reaches anything, even where they hold NaN. A sequence whose
        timesteps are all masked gives zeros and zero weights. The output has
        no time axis, so it carries no mask. NaN or infinite values in a
        timestep that counts show in that sequence's output, and in no other.

    Precision:
        Under a float16 or bfloat16 policy the normalization, the scores and
        the softmax are computed in float32; the projection and the weighted
        sum in half precision, so keep `h` within float16's range (65504)
        divided by the size of a projection.

    Raises:
        ValueError: An argument out of its range, an input that is not of rank
            3, an unknown number of features, a time axis of length 0, or a
            mask that is not `(batch, time)`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    states = np.random.default_rng(0).normal(size=(2, 20, 256))
    layer = ks.layers.TemporalAttention()
    pooled, scores = layer(states, return_attention_scores=True)
    print(tuple(pooled.shape), tuple(scores.shape))  # (2, 256) (2, 20)
    ```
    """

    def __init__(
        self,
        units: int | None = None,
        activation: Any = "tanh",
        normalize: bool = True,
        epsilon: float = 1e-3,
        use_score_bias: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        score_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        score_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        score_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if units is not None:
            units = check_positive_integer("units", units)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.normalize = check_flag("normalize", normalize)
        if units == 1 and self.normalize:
            raise ValueError(
                "`units` must be 2 or more with `normalize=True`: one number, "
                "normalized, is always 0, and the attention would stay "
                "uniform. Or give `normalize=False`. Received: units=1"
            )
        self.epsilon = check_positive_number("epsilon", epsilon)
        self.use_score_bias = check_flag("use_score_bias", use_score_bias)
        self.dropout = check_rate("dropout", dropout)
        self.seed = seed
        if self.dropout > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.score_initializer = keras.initializers.get(score_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.score_regularizer = keras.regularizers.get(score_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.score_constraint = keras.constraints.get(score_constraint)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_input_shape(input_shape)
        features = int(input_shape[-1] or 0)
        # Of one normalized unit nothing is left, of few little.
        few = 4 if self.normalize else 1
        units = self.units or (features // 2 if features > 3 else few)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(units,),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        # No autocast: what follows the projection is computed in float32.
        if self.normalize:
            self.gamma = self.add_weight(
                name="gamma",
                shape=(units,),
                initializer="ones",
                autocast=False,
            )
            self.beta = self.add_weight(
                name="beta",
                shape=(units,),
                initializer="zeros",
                autocast=False,
            )
        # Shape (units, 1), not (units,), so that fan-based initializers see
        # a projection from `units` to one score.
        self.score_kernel = self.add_weight(
            name="score_kernel",
            shape=(units, 1),
            initializer=self.score_initializer,
            regularizer=self.score_regularizer,
            constraint=self.score_constraint,
            autocast=False,
        )
        if self.use_score_bias:
            self.score_bias = self.add_weight(
                name="score_bias",
                shape=(1,),
                initializer="zeros",
                autocast=False,
            )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: features})

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        if inputs.shape[1] == 0:
            self._check_input_shape(inputs.shape)
        if mask is not None:
            mask = ops.cast(check_mask(mask, inputs.shape), "bool")
            # Not only the weights: 0 * NaN is NaN, so padding is cleared.
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, 0)
        scores = ops.cast(
            self._softmax_over_time(self._score(inputs), mask),
            self.compute_dtype,
        )
        if training and self.dropout > 0:
            scores = keras.random.dropout(
                scores, self.dropout, seed=self.seed_generator
            )
        output = ops.squeeze(
            ops.matmul(ops.expand_dims(scores, 1), inputs), axis=1
        )
        return (output, scores) if return_attention_scores else output

    def _score(self, inputs: Any) -> Any:
        """Return the scores before the softmax, (batch, time), float32."""
        shape = ops.shape(inputs)
        kernel, bias = self.kernel, self.bias
        centred = self.normalize and not fuses_layer_normalization()
        if centred:
            # Of centred weights the projection has no mean over its units,
            # and one product of two matrices is faster than a batch of them.
            kernel = kernel - ops.mean(kernel, axis=-1, keepdims=True)
            bias = bias - ops.mean(bias)
            inputs = ops.reshape(inputs, (-1, shape[-1]))
        hidden = at_least_float32(ops.matmul(inputs, kernel) + bias)
        if centred:
            variance = ops.mean(ops.square(hidden), axis=-1, keepdims=True)
            hidden = hidden * ops.rsqrt(variance + self.epsilon)
            hidden = hidden * self.gamma + self.beta
        elif self.normalize:
            hidden = ops.layer_normalization(
                hidden, self.gamma, self.beta, epsilon=self.epsilon
            )
        scores = ops.matmul(self.activation(hidden), self.score_kernel)
        if self.use_score_bias:
            scores = scores + self.score_bias
        return ops.reshape(scores, shape[:2])

    @staticmethod
    def _softmax_over_time(scores: Any, mask: Any) -> Any:
        if mask is not None:
            scores = ops.where(mask, scores, -1e30)
        # A window of one timestep is a proper one, but ops.softmax warns of
        # it. The difference, not 1: gradients and NaN pass.
        weights = (
            ops.exp(scores - scores)
            if scores.shape[-1] == 1
            else ops.softmax(scores, axis=-1)
        )
        # An all-masked row gives zeros, where the softmax gives 1 / time.
        return weights if mask is None else ops.where(mask, weights, 0)

    def _check_input_shape(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) != 3:
            raise ValueError(
                "`TemporalAttention` expects an input of rank 3, (batch, "
                "time, features). For one sequence add a batch axis, for "
                "scalar timesteps a feature axis. "
                f"Received: input_shape={shape}"
            )
        if not shape[-1]:
            raise ValueError(
                "`TemporalAttention` needs at least one feature and a fixed "
                "number of them (last axis). "
                f"Received: input_shape={shape}"
            )
        if shape[1] == 0:
            raise ValueError(
                "`TemporalAttention` needs at least one timestep. "
                f"Received: input_shape={shape}"
            )

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        self._check_input_shape(input_shape)
        return (input_shape[0], input_shape[-1])

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        if not return_attention_scores:
            return output
        scores = keras.KerasTensor(
            tuple(inputs.shape[:2]), dtype=self.compute_dtype
        )
        return output, scores

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "normalize": self.normalize,
            "epsilon": self.epsilon,
            "use_score_bias": self.use_score_bias,
            "dropout": self.dropout,
            "seed": self.seed,
            **{
                f"{weight}_{kind}": module.serialize(
                    getattr(self, f"{weight}_{kind}")
                )
                for kind, module in (
                    ("initializer", keras.initializers),
                    ("regularizer", keras.regularizers),
                    ("constraint", keras.constraints),
                )
                for weight in ("kernel", "bias", "score")
            },
        }
