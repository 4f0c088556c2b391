"""From a task to a trained network, and how well it remembers."""

from collections.abc import Callable
from collections.abc import Sequence

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.memory.loss import RecallLoss
from keras_seqattn.memory.recipe import STEPS_PER_EPOCH
from keras_seqattn.memory.report import MemoryReport
from keras_seqattn.memory.report import RecallScore
from keras_seqattn.memory.training import MemoryTrainer
from keras_seqattn.memory.training import Task
from keras_seqattn.tasks.memory_batch import accuracy_by_delay


def train_memory_network(
    build: Callable[[], keras.Model],
    task: Task,
    recipe: Recipe,
    *,
    loss: RecallLoss | None = None,
    steps_per_epoch: int = STEPS_PER_EPOCH,
    seeds: Sequence[int] = (0, 1, 2),
    test_sequences: int = 2000,
    verbose: int = 1,
) -> MemoryReport:
    """Train a network on a memory task, and compare it with what is simple.

    Every step has fresh sequences. Held-out ones choose the epoch, and which
    seed's network is returned; others are for the scores alone.

    Args:
        build: Function without arguments to an uncompiled model, such as
            `models.build_memory_network` makes.
        task: `tasks.CueRecall` or `tasks.CueAssociation`.
        recipe: A `Recipe`, such as one that a search has found; `RECIPES`
            holds those of the presets.
        loss: A `RecallLoss`; `LOSSES` holds those of the presets. Default:
            the squared error.
        steps_per_epoch: Positive integer, steps between two looks at the
            held-out sequences.
        seeds: Integers >= 0, one training each.
        test_sequences: Positive integer, sequences of each score.
        verbose: 0 is silent, 1 shows progress bars.

    Returns:
        A `MemoryReport`.

    Raises:
        ValueError: No seeds, or one twice; a cross-entropy for a task with
            one output; a recipe with settings that mean nothing here; a
            training that ended in NaN.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import Recipe
    from keras_seqattn.memory import train_memory_network

    report = train_memory_network(
        lambda: ks.models.build_memory_network("factorial", controller_units=4),
        ks.tasks.factorial_task(),
        Recipe(epochs=1),
        steps_per_epoch=2,
        seeds=(0,),
        verbose=0,
    )
    print(report.chance, round(report.levels["zeros"].mse, 4))  # 0.25 0.0107
    ```
    """
    seeds = check_seeds(seeds)
    check_positive_integer("test_sequences", test_sequences)
    trainer = MemoryTrainer(
        build, task, recipe, loss=loss, steps_per_epoch=steps_per_epoch
    )
    histories, scores = [], []
    best, weights = -1.0, None
    shortest, longest = task.delay_range
    thirds = np.linspace(shortest - 0.5, longest + 0.5, 4).tolist()
    for seed in seeds:
        histories.append(trainer.fit(seed, verbose))
        outputs, batch = trainer.test(seed, test_sequences)
        correct = task.correct(outputs, batch)
        kept = int(np.argmin(histories[-1]["val_loss"]))
        score = RecallScore(
            seed=seed,
            accuracy=float(correct.mean()),
            by_delay=accuracy_by_delay(correct, batch.delay, thirds),
            mse=float(np.mean((outputs - batch.y) ** 2, dtype=np.float64)),
            held_out_accuracy=histories[-1]["val_accuracy"][kept],
        )
        scores.append(score)
        if score.held_out_accuracy > best:
            best, weights = score.held_out_accuracy, trainer.model.get_weights()
            shown = outputs, batch
    outputs, batch = shown
    _, first = trainer.test(seeds[0], test_sequences)
    # Without the optimizer: on JAX its averages are gone after a `predict`
    # between epochs, since SwapEMAWeights shares their buffers.
    model = build()
    model.set_weights(weights)
    return MemoryReport(
        recipe=recipe,
        loss=trainer.loss,
        steps_per_epoch=trainer.steps,
        scores=tuple(scores),
        histories=tuple(histories),
        levels=task.reference_levels(first),
        chance=task.chance,
        no_binding=getattr(task, "no_binding_accuracy", None),
        model=model,
        outputs=outputs,
        batch=batch,
        answers=task.answers(outputs, batch),
    )
