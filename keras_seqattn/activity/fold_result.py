"""What one training gave for the subjects that it did not see."""

import dataclasses

import numpy as np

from keras_seqattn.activity.score import Score


@dataclasses.dataclass(frozen=True, eq=False)
class FoldResult:
    """One training, scored on subjects it was not trained on.

    Attributes:
        final: The `Score` after the last epoch.
        best: The `Score` after the best epoch of `val_accuracy`.
        best_epoch: That epoch, from 1.
        probabilities: Float array `(windows, classes)`, of the fold's own
            windows after the last epoch.
        history: For each epoch `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `val_macro_f1`. The last three are of the
            validation subjects, or, if there are none, of the scored ones.
    """

    final: Score
    best: Score
    best_epoch: int
    probabilities: np.ndarray
    history: dict[str, list[float]]
