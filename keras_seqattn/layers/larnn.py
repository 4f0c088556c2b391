"""LARNN: an LSTM with attention over its own last cells."""

from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.capabilities import fuses_on_request
from keras_seqattn._backend.capabilities import is_watched
from keras_seqattn.layers._larnn.sequence import run_sequence
from keras_seqattn.layers._larnn.window import finish_rows
from keras_seqattn.layers._masked_order import MaskedOrder
from keras_seqattn.layers._masked_order import last_rows
from keras_seqattn.layers._precision import at_least_float32
from keras_seqattn.layers._recurrent_layer import RecurrentLayer
from keras_seqattn.layers._recurrent_layer import cell_options
from keras_seqattn.layers.larnn_cell import LARNNCell

_MOMENTUM = 0.9


class _LARNNLayerCell(LARNNCell):
    """The cell inside `LARNN`, which can keep moving statistics."""

    _normalizations = (None, "layer", "batch")


@keras.saving.register_keras_serializable(package="keras_seqattn")
class LARNN(RecurrentLayer):
    """Runs a LARNN, an LSTM that attends to its own last cells.

    Equal to `keras.layers.RNN(LARNNCell(...))`, with the same weights under
    the same names (but for what masked steps output before the first step
    that counts, see Masking), and several times faster to train. The gradient
    is written by hand, and memory grows with `time * (units + window_size *
    num_heads)`, not with `time * window_size * units`. For the equations and
    the weights see `LARNNCell`.

    Take it when you want to see which past cells a step attends to, or to
    read a long sequence as a whole: digits, a pixel a step, it read with half
    an LSTM's error. On recordings of activity it was as good as an LSTM, not
    better; pairs it recalled worse (`docs/when_to_take_which.md`).

    Reference:
        [Chevalier, LARNN, arXiv:1808.05578](
        https://arxiv.org/abs/1808.05578).

    Args:
        units: Positive integer, width of the state and of the output.
        num_heads: Positive integer that divides `units`. Default: 4.
        window_size: Positive integer `k`, how many past cells a step attends
            to. Default: 16.
        use_positional_encoding: Whether keys and values also know the age
            of their cell. Default: `True`.
        key_value_activation: `"elu"` (default) or `None`, what keys and
            values go through.
        normalization: `"layer"`, `"batch"` or `None` (default), as in
            `LARNNCell`. `"batch"` is the original's (epsilon 1e-5): in
            training each step is normalized by the statistics of the batch,
            at inference by moving averages (momentum 0.9) of their mean over
            the steps.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of
            `kernel` and `query_kernel`, which read the input.
        recurrent_initializer, recurrent_regularizer, recurrent_constraint:
            Of `recurrent_kernel` and `query_recurrent_kernel`.
        attention_initializer, attention_regularizer, attention_constraint:
            Of the other kernels.
        bias_initializer, bias_regularizer, bias_constraint: Of all biases.
        gamma_initializer, beta_initializer: Of the normalizations' scale and
            offset. Every initializer may be `"reference"`, the original's:
            uniform within 1 / sqrt(units).
        unit_forget_bias: Whether the forget gate's bias begins at 1.
            Default: `True`; the original has `False`.
        dropout: Rate in [0, 1) at which inputs are dropped in training.
        recurrent_dropout: The same for the hidden state that a step reads.
        attention_dropout: The same for attention scores, by age and head.
            As in Keras' LSTM every mask is drawn once a sequence, not once a
            step.
        seed: Optional integer, seeds the dropout.
        return_sequences: Whether to return all outputs or the last one.
            Default: `False`.
        return_state: Whether to return the last state too. Default: `False`.
        go_backwards: Whether to go from the last step to the first. Default:
            `False`.
        stateful: Whether a batch goes on from where the one before ended.
            Default: `False`.
        unroll: Accepted as in other recurrent layers; changes nothing.
        zero_output_for_mask: Whether masked steps give zeros, not the output
            before them, with `return_sequences=True`. Default: `False`.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        sequences: Float tensor of shape `(batch, time, features)`.
        initial_state: List of four tensors, as `return_state=True` returns
            and `LARNNCell` describes.
        mask: Optional boolean tensor of shape `(batch, time)`, `True` where a
            step counts. Keras passes the mask of the layer before.
        training: Python boolean, whether dropout and batch statistics are on.
        return_attention_scores: Python boolean. If `True`, the scores follow
            the output. No gradient flows through them. Default: `False`.

    Input shape:
        `(batch, time, features)`. The time axis may be free (`None`).

    Output shape:
        `(batch, units)`, with `return_sequences=True` `(batch, time, units)`.
        With `return_attention_scores=True` also `(batch, time, num_heads,
        window_size)`, by the attended cell's age, oldest first, 0 in slots
        that hold no cell and at masked steps; in training as dropout left
        them. With `return_state=True` also the four states.

    Masking:
        A masked step changes neither the state nor the window, whatever it
        holds, NaN too, and gets no gradient. Its output is the one before it
        (before the first step: the initial hidden state), or zeros. NaN or
        infinite values in a step that counts show in that sequence's outputs
        from there on, and in no other sequence (with batch statistics: in
        all).

    Precision:
        As in `LARNNCell`.

    Second derivatives:
        On TensorFlow and JAX, which has no forward mode here. torch raises:
        there take `keras.layers.RNN(LARNNCell(...))`, the same numbers.

    Compilation:
        In a training graph of TensorFlow, as `fit` makes it, a step and its
        gradient are programs of XLA, whatever `jit_compile` says, compiled
        for each batch size in about a second.

    Raises:
        ValueError: An argument out of its range, `units` that `num_heads`
            does not divide, an input that is not of rank 3, an unknown
            number of features, a time axis of length 0, or a mask that is
            not `(batch, time)`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    signal = np.random.default_rng(0).normal(size=(2, 30, 9))
    layer = ks.layers.LARNN(16, num_heads=4, window_size=5)
    output, scores = layer(signal, return_attention_scores=True)
    print(tuple(output.shape), tuple(scores.shape))  # (2, 16) (2, 30, 4, 5)
    ```
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 4,
        window_size: int = 16,
        use_positional_encoding: bool = True,
        key_value_activation: str | None = "elu",
        normalization: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        attention_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        attention_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        attention_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = _LARNNLayerCell(
            units=units,
            num_heads=num_heads,
            window_size=window_size,
            use_positional_encoding=use_positional_encoding,
            key_value_activation=key_value_activation,
            normalization=normalization,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            attention_initializer=attention_initializer,
            bias_initializer=bias_initializer,
            gamma_initializer=gamma_initializer,
            beta_initializer=beta_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            attention_regularizer=attention_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            attention_constraint=attention_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            attention_dropout=attention_dropout,
            seed=seed,
            **cell_options("larnn_cell", kwargs),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
    ) -> Any:
        mask = self._check_sequences(sequences, mask)
        state, sequences, order = self._begin(sequences, initial_state, mask)
        cell, training = self.cell, bool(training)
        if training:
            sequences = self._drop(sequences, state)
        # Frozen, it is at inference, as Keras' BatchNormalization.
        settings = cell.settings(
            batch_statistics=training
            and self.trainable
            and cell.normalization == "batch"
        )._replace(fused=training and is_watched() and fuses_on_request())
        w = cell.tensors(training)
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()

        inputs = ops.transpose(at_least_float32(sequences), (1, 0, 2))
        hidden, carried, window, empty = cell.unpack(state)
        weight = self._weigh(inputs, order)
        # All slots that come later hold a cell.
        empty = ops.concatenate(
            [empty, ops.zeros_like(inputs[:, :, :1]) + 0 * empty[:1]], axis=0
        )
        outputs, cells, scores, statistics = run_sequence(
            w,
            settings,
            inputs,
            hidden,
            carried,
            finish_rows(w, settings, window)["value"],
            empty,
            weight,
            return_attention_scores,
        )
        if statistics is not None:
            self._update_statistics(statistics, weight)
        outputs = ops.concatenate([hidden[None], outputs], axis=0)
        cells = ops.concatenate([carried[None], cells], axis=0)

        result = [self._arrange_outputs(outputs, order)]
        if return_attention_scores:
            result.append(self._arrange_scores(scores, order))
        if self.return_state or self.stateful:
            rows = ops.matmul(cells[1:], w.key_value_kernel)
            rows = ops.concatenate([window, rows], axis=0)
            new_state = cell.pack(
                last_rows(outputs, order, 1)[0],
                last_rows(cells, order, 1)[0],
                last_rows(rows, order, cell.window_size),
                last_rows(empty, order, cell.window_size),
            )
            if self.stateful:
                for variable, value in zip(self.states, new_state, strict=True):
                    variable.assign(value)
            if self.return_state:
                result += new_state
        result = [ops.cast(x, self.compute_dtype) for x in result]
        return result[0] if len(result) == 1 else tuple(result)

    def _begin(
        self, sequences: Any, initial_state: Any, mask: Any
    ) -> tuple[list[Any], Any, MaskedOrder | None]:
        """Return the first state, and the sequences as the loop takes them."""
        if initial_state is None:
            initial_state = (
                self.states
                if self.stateful
                else self.cell.get_initial_state(ops.shape(sequences)[0])
            )
        state = self._own_states(self._check_state(initial_state, sequences))
        sequences = ops.cast(sequences, self.compute_dtype)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        if mask is None:
            return state, sequences, None
        order = MaskedOrder(mask)
        return state, order.to_front(sequences), order

    def _drop(self, sequences: Any, state: list[Any]) -> Any:
        # In the order of keras.layers.RNN, so that a seed means the same.
        mask = self.cell.get_dropout_mask(sequences[:, 0])
        self.cell.get_recurrent_dropout_mask(state[0])
        return sequences if mask is None else sequences * mask[:, None]

    def _weigh(self, inputs: Any, order: MaskedOrder | None) -> Any:
        """(time, batch, 1): which steps count, for batch normalization."""
        if self.cell.normalization != "batch":
            return None
        weight = ops.ones_like(inputs[:, :, :1])
        if order is None:
            return weight
        counts = ops.cast(order.counts(), inputs.dtype)
        return weight * ops.transpose(counts)[..., None]

    def _arrange_outputs(self, outputs: Any, order: MaskedOrder | None) -> Any:
        """Of (1 + time, batch, units), what the layer returns."""
        if not self.return_sequences:
            return last_rows(outputs, order, 1)[0]
        outputs = ops.transpose(outputs, (1, 0, 2))
        if order is None:
            return outputs[:, 1:]
        return order.to_steps(outputs, self.zero_output_for_mask)

    def _arrange_scores(self, scores: Any, order: Any) -> Any:
        """To (batch, time, heads, window), 0 at masked steps."""
        cell = self.cell
        scores = ops.transpose(scores, (1, 0, 2))
        if order is not None:
            # There are no scores before the first step.
            scores = ops.pad(scores, ((0, 0), (1, 0), (0, 0)))
            scores = order.to_steps(scores, zeros=True)
        scores = ops.reshape(
            scores,
            (*ops.shape(scores)[:2], cell.window_size, cell.num_heads),
        )
        return ops.transpose(scores, (0, 1, 3, 2))

    def _update_statistics(self, statistics: Any, weight: Any) -> None:
        """Move the moving statistics towards their mean over the steps."""
        used = ops.cast(ops.sum(weight, axis=1) > 0, weight.dtype)
        count = ops.sum(used)
        # A batch that is all masked moves nothing.
        rate = (1 - _MOMENTUM) * ops.cast(count > 0, count.dtype)
        for name in self.cell.settings().norms:
            norm = getattr(self.cell, f"{name}_norm")
            for moving, values in zip(
                (norm.moving_mean, norm.moving_variance),
                statistics[name],
                strict=True,
            ):
                share = ops.reshape(used, (-1,) + (1,) * (values.ndim - 1))
                mean = ops.sum(share * values, axis=0) / ops.maximum(count, 1)
                moving.assign(moving + rate * (mean - moving))

    def compute_output_spec(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
    ) -> Any:
        further = []
        if return_attention_scores:
            batch, time, _ = sequences.shape
            cell = self.cell
            further = [(batch, time, cell.num_heads, cell.window_size)]
        return self._output_specs(sequences, further)
