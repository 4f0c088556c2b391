"""Recognize activities: folds by subject, train, compare, report."""

import importlib
from typing import TYPE_CHECKING
from typing import Any

from keras_seqattn._training.recipe import Recipe as Recipe
from keras_seqattn.activity.augmentation import RotateAndScale as RotateAndScale
from keras_seqattn.activity.augmentation import (
    register_augmentation as register_augmentation,
)
from keras_seqattn.activity.baselines import (
    logistic_baseline as logistic_baseline,
)
from keras_seqattn.activity.baselines import (
    majority_baseline as majority_baseline,
)
from keras_seqattn.activity.compare import (
    classify_recordings as classify_recordings,
)
from keras_seqattn.activity.final import score_model as score_model
from keras_seqattn.activity.final import train_final as train_final
from keras_seqattn.activity.deployed import (
    predict_recording as predict_recording,
)
from keras_seqattn.activity.events import EventScore as EventScore
from keras_seqattn.activity.events import EventScores as EventScores
from keras_seqattn.activity.events import score_events as score_events
from keras_seqattn.windows.activity_windows import (
    ActivityWindows as ActivityWindows,
)
from keras_seqattn.activity.npz_files import load_windows as load_windows
from keras_seqattn.windows.activity_windows import (
    subject_folds as subject_folds,
)
from keras_seqattn.activity.report import ActivityReport as ActivityReport
from keras_seqattn.activity.fold_result import FoldResult as FoldResult
from keras_seqattn.activity.score import Score as Score
from keras_seqattn.activity.seglearn_watch import (
    load_seglearn_watch as load_seglearn_watch,
)
from keras_seqattn.activity.recordings import read_recordings as read_recordings
from keras_seqattn.activity.sources import load_recordings as load_recordings
from keras_seqattn.activity.timeline import (
    ActivityTimeline as ActivityTimeline,
)
from keras_seqattn.activity.training import RECIPE as RECIPE

if TYPE_CHECKING:
    from keras_seqattn.activity.estimator import (
        ActivityEstimator as ActivityEstimator,
    )


def __getattr__(name: str) -> Any:
    # It needs scikit-learn: imported when it is first used.
    if name == "ActivityEstimator":
        estimator = importlib.import_module("keras_seqattn.activity.estimator")
        return estimator.ActivityEstimator
    raise AttributeError(
        f"module 'keras_seqattn.activity' has no attribute {name!r}"
    )
