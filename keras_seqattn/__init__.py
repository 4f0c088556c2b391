"""Attention and recurrence for sequences, in Keras 3, on three backends."""

from keras_seqattn import activations as activations
from keras_seqattn import export as export
from keras_seqattn import layers as layers
from keras_seqattn import models as models
from keras_seqattn import streaming as streaming
from keras_seqattn import tasks as tasks
from keras_seqattn.recording import Recording as Recording
from keras_seqattn.recording import load_recording as load_recording
from keras_seqattn.timestep_selection import (
    TimestepRecommendation as TimestepRecommendation,
)
from keras_seqattn.timestep_selection import (
    TimestepSelection as TimestepSelection,
)
from keras_seqattn.timestep_selection import (
    recommend_timesteps as recommend_timesteps,
)
from keras_seqattn.timestep_selection import (
    select_timesteps as select_timesteps,
)
from keras_seqattn.version import __version__ as __version__
