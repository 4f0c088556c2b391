"""Windows over time: cut, split, standardized and batched without a leak."""

from keras_seqattn.windows.activity_windows import (
    cut_recordings as cut_recordings,
)
from keras_seqattn.windows.activity_windows import (
    subject_folds as subject_folds,
)
from keras_seqattn.windows.batches import WindowBatches as WindowBatches
from keras_seqattn.windows.batches import class_weights as class_weights
from keras_seqattn.windows.clock import ClockReport as ClockReport
from keras_seqattn.windows.cutting import (
    chronological_split as chronological_split,
)
from keras_seqattn.windows.cutting import take_windows as take_windows
from keras_seqattn.windows.cutting import window_ends as window_ends
from keras_seqattn.windows.signal_options import (
    SignalOptions as SignalOptions,
)
from keras_seqattn.windows.signal_recording import (
    SignalRecording as SignalRecording,
)
from keras_seqattn.windows.standardizer import Standardizer as Standardizer
