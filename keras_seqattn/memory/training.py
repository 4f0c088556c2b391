"""Training a memory network on sequences it never sees twice."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn.memory.loss import RecallLoss
from keras_seqattn.memory.recipe import STEPS_PER_EPOCH
from keras_seqattn.tasks.cue_association import CueAssociation
from keras_seqattn.tasks.cue_recall import CueRecall
from keras_seqattn.tasks.memory_batch import MemoryBatch

Task = CueRecall | CueAssociation

# Random streams of one seed: no two draw the same sequences.
_TRAINING, _HELD_OUT, _TEST = 0, 1, 2


class FreshBatches(keras.utils.PyDataset):
    """New sequences for each step of `fit`, the same ones for a seed.

    Args:
        task: `tasks.CueRecall` or `tasks.CueAssociation`.
        loss: A `RecallLoss`, which weighs the steps of a sequence.
        batch_size: Positive integer.
        steps: Positive integer, steps of an epoch.
        seed: Integer >= 0.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import FreshBatches
    from keras_seqattn.memory import RecallLoss

    loss = RecallLoss("crossentropy")
    batches = FreshBatches(ks.tasks.additive_task(), loss, 64, steps=2, seed=0)
    model = ks.models.build_memory_network("additive")
    model.compile("adam", loss.keras_loss())
    model.fit(batches, epochs=2, verbose=0)
    ```
    """

    def __init__(
        self,
        task: Task,
        loss: RecallLoss,
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.task = task
        self.loss = loss
        self.batch_size = check_positive_integer("batch_size", batch_size)
        self.steps = check_positive_integer("steps", steps)
        self.seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        seed = (self.seed, _TRAINING, self._epoch, index)
        return self.loss.data(self.task.sample(self.batch_size, seed))

    def on_epoch_end(self) -> None:
        self._epoch += 1


class HeldOut:
    """Sequences that no training of a seed sees, and how they are answered.

    Args:
        task: `tasks.CueRecall` or `tasks.CueAssociation`.
        loss: A `RecallLoss`.
        seed: Integer >= 0.
        sequences: Positive integer, how many.

    Attributes:
        batch: The `MemoryBatch`.
        data: Inputs, targets and weights.
    """

    def __init__(
        self, task: Task, loss: RecallLoss, seed: int, sequences: int = 500
    ) -> None:
        self.task = task
        self.loss = loss
        self.batch = task.sample(sequences, (seed, _HELD_OUT))
        self.data = loss.data(self.batch)

    def accuracy(self, outputs: np.ndarray) -> float:
        """Return the share of right answers."""
        return float(np.mean(self.task.correct(outputs, self.batch)))

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        """Return `val_loss` and `val_accuracy` of a network's outputs."""
        _, y, weights = self.data
        return {
            "val_loss": float(self.loss.keras_loss()(y, outputs, weights)),
            "val_accuracy": self.accuracy(outputs),
        }


class MemoryTrainer:
    """Trains a network from several seeds; one compiled model serves all.

    After each epoch the network answers held-out sequences, and in the end
    it has the weights with which the loss of its answers was lowest: a spike
    of the loss costs nothing.

    Args:
        build: Function without arguments to an uncompiled model, such as
            `models.build_memory_network` makes.
        task: `tasks.CueRecall` or `tasks.CueAssociation`.
        recipe: A `Recipe`.
        loss: A `RecallLoss`.
        steps_per_epoch: Positive integer, steps between two looks at the
            held-out sequences.
        held_out: Number of held-out sequences.

    Raises:
        ValueError: A cross-entropy for a task with one output, or a recipe
            with settings that mean nothing here.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import MemoryTrainer
    from keras_seqattn.memory import Recipe

    trainer = MemoryTrainer(
        lambda: ks.models.build_memory_network("factorial", controller_units=8),
        ks.tasks.factorial_task(),
        Recipe(epochs=2),
        steps_per_epoch=2,
    )
    history = trainer.fit(seed=0, verbose=0)
    print(sorted(history))  # ['loss', 'val_accuracy', 'val_loss']
    print(trainer.test(seed=0)[0].shape)  # (2000, 20, 12)
    ```
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        task: Task,
        recipe: Recipe,
        *,
        loss: RecallLoss | None = None,
        steps_per_epoch: int = STEPS_PER_EPOCH,
        held_out: int = 500,
    ) -> None:
        loss = RecallLoss() if loss is None else loss
        if loss.kind == "crossentropy" and task.outputs == 1:
            raise ValueError(
                "The cross-entropy needs an output for each value, and the "
                "task has one output: use `RecallLoss('mse')`. "
                f"Received: loss={loss}, task={task}"
            )
        recipe.check_unused(
            "label_smoothing",
            "class_weights",
            "augmentation",
            what="a memory network, whose sequences are made",
        )
        self.task = task
        self.recipe = recipe
        self.loss = loss
        self.steps = check_positive_integer("steps_per_epoch", steps_per_epoch)
        self._held_out = held_out
        self._network = SeededModel(
            lambda: recipe.add_l2(build()),
            recipe.make_optimizer(self.steps),
            loss.keras_loss(),
            loss.data(task.sample(recipe.batch_size, 0)),
        )
        self.model = self._network.model

    def fit(self, seed: int, verbose: int = 1) -> dict[str, list[float]]:
        """Train from the start of a seed.

        Args:
            seed: Integer >= 0, for the weights and the sequences.
            verbose: 0 is silent, 1 shows a progress bar.

        Returns:
            Keras' history: `loss`, `val_loss` and `val_accuracy`, the share
            of right answers, at each epoch.

        Raises:
            ValueError: The training ended in NaN.
        """
        held_out = HeldOut(self.task, self.loss, seed, self._held_out)
        recipe = self.recipe
        return self._network.fit(
            seed,
            FreshBatches(
                self.task, self.loss, recipe.batch_size, self.steps, seed
            ),
            epochs=recipe.epochs,
            validation_data=held_out.data,
            validation_batch_size=self._held_out,
            callbacks=[
                *recipe.callbacks(),
                _RecallAccuracy(held_out),
                recipe.early_stopping(),
            ],
            title=f"{self.model.name}, seed {seed}",
            verbose=verbose,
        )

    def test(
        self, seed: int, sequences: int = 2000
    ) -> tuple[np.ndarray, MemoryBatch]:
        """Answer sequences that no training of any seed has seen.

        Args:
            seed: Integer >= 0.
            sequences: Positive integer, how many.

        Returns:
            The outputs, `(sequences, timesteps, outputs)`, and the
            `MemoryBatch`.
        """
        batch = self.task.sample(sequences, (seed, _TEST))
        outputs = self.model.predict(
            batch.x, batch_size=self._held_out, verbose=0
        )
        return outputs, batch


class _RecallAccuracy(keras.callbacks.Callback):
    """The share of right answers, as `val_accuracy`."""

    def __init__(self, held_out: HeldOut) -> None:
        super().__init__()
        self.held_out = held_out

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        batch = self.held_out.batch
        outputs = self.model.predict(batch.x, batch_size=len(batch), verbose=0)
        logs["val_accuracy"] = self.held_out.accuracy(outputs)
