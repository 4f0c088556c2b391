"""What a memory network learned, beside simple predictors."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.memory.loss import RecallLoss
from keras_seqattn.tasks.memory_batch import DelayAccuracy
from keras_seqattn.tasks.memory_batch import MemoryBatch
from keras_seqattn.tasks.memory_batch import ReferenceLevel

_PARTS = ("close", "between", "far")


@dataclasses.dataclass(frozen=True)
class RecallScore:
    """The score of one training on sequences it has not seen.

    Args:
        seed: The training's seed.
        accuracy: Share of right answers, in 0 .. 1.
        by_delay: The same for the shorter, the middle and the longer third of
            the delays.
        mse: Mean squared error over all steps and outputs.
        held_out_accuracy: That of the weights that were kept, on the
            held-out sequences.
    """

    seed: int
    accuracy: float
    by_delay: DelayAccuracy
    mse: float
    held_out_accuracy: float


@dataclasses.dataclass(frozen=True)
class MemoryReport(Tabulated):
    """What `train_memory_network` found.

    Args:
        recipe: How it was trained.
        loss: What counted.
        steps_per_epoch: Steps of an epoch.
        scores: One `RecallScore` a seed, on test sequences.
        histories: Keras' history of each training.
        levels: Simple predictors on the test sequences of the first seed, by
            name.
        chance: Accuracy of a blind guess.
        no_binding: Accuracy of knowing which values were shown, but not with
            which keys; `None` for a task without keys.
        model: The network of the seed with the best held-out accuracy.
        outputs: Its outputs for `batch`.
        batch: Its test sequences.
        answers: Its answers, `(sequences, queries)`.
    """

    recipe: Recipe
    loss: RecallLoss
    steps_per_epoch: int
    scores: tuple[RecallScore, ...]
    histories: tuple[dict[str, list[float]], ...]
    levels: dict[str, ReferenceLevel]
    chance: float
    no_binding: float | None
    model: keras.Model
    outputs: np.ndarray
    batch: MemoryBatch
    answers: np.ndarray

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the seeds."""
        return float(np.mean([score.accuracy for score in self.scores]))

    def table(self) -> str:
        """Return the scores as a markdown table.

        The squared error of outputs that are logits means nothing, and is
        left out.
        """
        rows = [
            [name, f"{level.mse:.4f}", f"{level.accuracy:.3f}", "", "", ""]
            for name, level in self.levels.items()
        ]
        rows.append(["blind guess", "", f"{self.chance:.3f}", "", "", ""])
        if self.no_binding is not None:
            name = "right values, no binding (exact)"
            rows.append([name, "", f"{self.no_binding:.3f}", "", "", ""])
        rows += [
            [
                f"network, seed {score.seed}",
                "" if self._logits else f"{score.mse:.4f}",
                f"{score.accuracy:.4f}",
                *(f"{share:.4f}" for share in score.by_delay.accuracy),
            ]
            for score in self.scores
        ]
        edges = self.scores[0].by_delay.edges
        parts = [
            f"{name} ({math.ceil(low)} .. {math.floor(high)})"
            for name, low, high in zip(_PARTS, edges, edges[1:], strict=False)
        ]
        head = ["predictor", "MSE", "recall accuracy", *parts]
        return markdown_table(head, [row[: len(head)] for row in rows])

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "recipe": self.recipe.to_dict(),
            "loss": dataclasses.asdict(self.loss),
            "steps_per_epoch": self.steps_per_epoch,
            "chance": self.chance,
            "no_binding": self.no_binding,
            "levels": {k: v._asdict() for k, v in self.levels.items()},
            "scores": [
                {
                    "seed": score.seed,
                    "accuracy": score.accuracy,
                    "mse": score.mse,
                    "held_out_accuracy": score.held_out_accuracy,
                    "delay_edges": score.by_delay.edges.tolist(),
                    # No number where no query had such a delay.
                    "accuracy_by_delay": [
                        None if math.isnan(share) else share
                        for share in score.by_delay.accuracy.tolist()
                    ],
                }
                for score in self.scores
            ],
            "histories": list(self.histories),
        }

    @property
    def _logits(self) -> bool:
        return self.loss.kind == "crossentropy"
