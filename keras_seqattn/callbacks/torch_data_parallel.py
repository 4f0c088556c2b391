"""Data-parallel training on torch, which Keras 3.15 does not distribute.

Where torch.distributed is initialised, several processes ("ranks") train one
model, each on its part of every batch. On JAX `keras.distribution` and on
TensorFlow `tf.distribute` do all of this, and nothing here is needed.
"""

from typing import Any

import keras
import numpy as np

from keras_seqattn._backend.ranks import sum_over_ranks
from keras_seqattn._backend.ranks import torch_ranks


class TorchDataParallel(keras.callbacks.Callback):
    """Trains one model on several torch processes, in plain `fit`.

    All ranks begin with the weights of rank 0. After each backward pass the
    gradients are averaged, so that every rank takes the same step. Moving
    statistics, as of batch normalization, are averaged before they are used,
    and so are the logs of an epoch.

    Each rank calls `fit` with its own part of each batch: with equally many
    batches, equally large. For arrays that is `x[rank::ranks]`, and the batch
    size divided by the number of ranks. Put this callback first in the list,
    so that the others see the averaged logs and all ranks decide alike.

    `BurstPropNetwork`, which has no backward pass, sums its gradients over the
    ranks by itself; it too needs this callback for the first weights.

    Raises:
        ValueError: The backend is not torch; torch.distributed is not
            initialised; or ranks have different numbers of batches, for which
            they would wait for ever.

    Example:
    ```python
    import keras
    from keras_seqattn.callbacks import TorchDataParallel


    def train(model, x, y, rank, ranks):
        # In each of the processes that torchrun starts, after
        # torch.distributed.init_process_group("gloo").
        model.fit(
            x[rank::ranks],
            y[rank::ranks],
            batch_size=32 // ranks,
            callbacks=[TorchDataParallel()],
        )
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self._hooks: list[Any] = []
        if keras.backend.backend() != "torch":
            raise ValueError(
                "`TorchDataParallel` is for the torch backend. On JAX use "
                "`keras.distribution.DataParallel`, on TensorFlow "
                "`tf.distribute.MirroredStrategy`. "
                f"Received: backend {keras.backend.backend()!r}"
            )

    def on_train_begin(self, logs: Any = None) -> None:
        from torch import distributed

        if not distributed.is_available() or not distributed.is_initialized():
            raise ValueError(
                "`TorchDataParallel` expects several processes: start them "
                "with `torchrun`, and call "
                "`torch.distributed.init_process_group` in each before `fit`."
            )
        self._check_steps()
        for variable in (*self.model.weights, *self.model.optimizer.variables):
            distributed.broadcast(variable.value.data, src=0)
        self._remove_hooks()  # of a training that ended in an error
        self._hooks = [
            variable.value.register_post_accumulate_grad_hook(_average_gradient)
            for variable in self.model.trainable_variables
        ]

    def on_test_begin(self, logs: Any = None) -> None:
        self._average_statistics()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._average_statistics()
        if logs:
            import torch

            names = sorted(logs)
            values = torch.tensor([float(logs[name]) for name in names])
            (total,) = sum_over_ranks([values.to(_device(self.model))])
            logs.update(
                zip(names, (total / torch_ranks()).tolist(), strict=True)
            )

    def on_train_end(self, logs: Any = None) -> None:
        self._remove_hooks()

    def _check_steps(self) -> None:
        import torch
        from torch import distributed

        steps = -1 if self.params["steps"] is None else self.params["steps"]
        mine = torch.tensor([steps], device=_device(self.model))
        found = [torch.zeros_like(mine) for _ in range(torch_ranks())]
        distributed.all_gather(found, mine)
        counts = [int(count) for count in found]
        if len(set(counts)) > 1:
            raise ValueError(
                "Every rank must have the same number of batches, or some "
                "wait for the others for ever: cut the data to a multiple of "
                f"the ranks. Received: batches of ranks 0, 1 ... {counts}"
            )

    def _average_statistics(self) -> None:
        values = [
            variable.value.data
            for variable in self.model.non_trainable_weights
            if np.issubdtype(np.dtype(variable.dtype), np.floating)
        ]
        for value, total in zip(values, sum_over_ranks(values), strict=True):
            value.copy_(total / torch_ranks())

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _average_gradient(parameter: Any) -> None:
    from torch import distributed

    distributed.all_reduce(parameter.grad)
    parameter.grad /= torch_ranks()


def _device(model: keras.Model) -> Any:
    return model.weights[0].value.device
