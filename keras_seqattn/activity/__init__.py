"""Recognize activities: folds by subject, train, compare, report."""

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
from keras_seqattn.activity.compare import score_model as score_model
from keras_seqattn.activity.compare import train_final as train_final
from keras_seqattn.windows.activity_windows import (
    ActivityWindows as ActivityWindows,
)
from keras_seqattn.activity.npz_files import load_windows as load_windows
from keras_seqattn.windows.activity_windows import (
    subject_folds as subject_folds,
)
from keras_seqattn.activity.report import ActivityReport as ActivityReport
from keras_seqattn.activity.report import FoldResult as FoldResult
from keras_seqattn.activity.score import Score as Score
from keras_seqattn.activity.seglearn_watch import (
    load_seglearn_watch as load_seglearn_watch,
)
from keras_seqattn.activity.recordings import read_recordings as read_recordings
from keras_seqattn.activity.sources import load_recordings as load_recordings
from keras_seqattn.activity.training import RECIPE as RECIPE
