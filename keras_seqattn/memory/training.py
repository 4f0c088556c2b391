"""Training a memory network on sequences it never sees twice."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn.memory.recipe import MemoryRecipe
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
        recipe: A `MemoryRecipe`.
        seed: Integer >= 0.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import FreshBatches
    from keras_seqattn.memory import MemoryRecipe

    recipe = MemoryRecipe("crossentropy", steps=4, steps_per_epoch=2)
    batches = FreshBatches(ks.tasks.additive_task(), recipe, seed=0)
    model = ks.models.build_memory_network("additive")
    model.compile(recipe.optimizer(), recipe.keras_loss())
    model.fit(batches, epochs=recipe.epochs, verbose=0)
    ```
    """

    def __init__(self, task: Task, recipe: MemoryRecipe, seed: int) -> None:
        super().__init__()
        self.task = task
        self.recipe = recipe
        self.seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return self.recipe.epoch_steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        seed = (self.seed, _TRAINING, self._epoch, index)
        batch = self.task.sample(self.recipe.batch_size, seed)
        return self.recipe.data(batch)

    def on_epoch_end(self) -> None:
        self._epoch += 1


class MemoryTrainer:
    """Trains a network from several seeds; one compiled model serves all.

    After each epoch the network answers held-out sequences, and in the end
    it has the weights with which the loss of its answers was lowest: a spike
    of the loss costs nothing.

    Args:
        build: Function without arguments to an uncompiled model, such as
            `models.build_memory_network` makes.
        task: `tasks.CueRecall` or `tasks.CueAssociation`.
        recipe: A `MemoryRecipe`.
        held_out: Number of held-out sequences.

    Raises:
        ValueError: A cross-entropy for a task with one output.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import MemoryRecipe
    from keras_seqattn.memory import MemoryTrainer

    trainer = MemoryTrainer(
        lambda: ks.models.build_memory_network("factorial", controller_units=8),
        ks.tasks.factorial_task(),
        MemoryRecipe(steps=4, steps_per_epoch=2),
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
        recipe: MemoryRecipe,
        held_out: int = 500,
    ) -> None:
        if recipe.loss == "crossentropy" and task.outputs == 1:
            raise ValueError(
                "The cross-entropy needs an output for each value, and the "
                "task has one output: use `loss='mse'`. "
                f"Received: loss='crossentropy', task={task}"
            )
        self.task = task
        self.recipe = recipe
        self._held_out = held_out
        self._network = SeededModel(
            build,
            recipe.optimizer(),
            recipe.keras_loss(),
            recipe.data(task.sample(recipe.batch_size, 0)),
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
        held_out = self.task.sample(self._held_out, (seed, _HELD_OUT))
        return self._network.fit(
            seed,
            FreshBatches(self.task, self.recipe, seed),
            epochs=self.recipe.epochs,
            validation_data=self.recipe.data(held_out),
            validation_batch_size=len(held_out),
            callbacks=[
                _RecallAccuracy(self.task, held_out),
                keras.callbacks.EarlyStopping(
                    patience=self.recipe.epochs, restore_best_weights=True
                ),
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

    def __init__(self, task: Task, batch: MemoryBatch) -> None:
        super().__init__()
        self.task = task
        self.batch = batch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        outputs = self.model.predict(
            self.batch.x, batch_size=len(self.batch), verbose=0
        )
        correct = self.task.correct(outputs, self.batch)
        logs["val_accuracy"] = float(np.mean(correct))
