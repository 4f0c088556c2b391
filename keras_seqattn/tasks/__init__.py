from keras_seqattn.tasks.cue_association import CueAssociation as CueAssociation
from keras_seqattn.tasks.cue_association import additive_task as additive_task
from keras_seqattn.tasks.cue_association import factorial_task as factorial_task
from keras_seqattn.tasks.cue_recall import CueRecall as CueRecall
from keras_seqattn.tasks.memory_batch import DelayAccuracy as DelayAccuracy
from keras_seqattn.tasks.memory_batch import MemoryBatch as MemoryBatch
from keras_seqattn.tasks.memory_batch import ReferenceLevel as ReferenceLevel
from keras_seqattn.tasks.memory_batch import (
    accuracy_by_delay as accuracy_by_delay,
)
from keras_seqattn.tasks.simulated_reaching import SimulatedDay as SimulatedDay
from keras_seqattn.tasks.simulated_reaching import (
    SimulatedNeurons as SimulatedNeurons,
)
from keras_seqattn.tasks.simulated_reaching import (
    simulated_days as simulated_days,
)
from keras_seqattn.tasks.simulated_reaching import (
    simulated_reaching as simulated_reaching,
)
from keras_seqattn.tasks.sinusoids import Sinusoids as Sinusoids
from keras_seqattn.tasks.sinusoids import TaughtChunks as TaughtChunks
from keras_seqattn.tasks.xor_sequences import XorSequences as XorSequences
from keras_seqattn.tasks.trial_batches import TrialBatches as TrialBatches
