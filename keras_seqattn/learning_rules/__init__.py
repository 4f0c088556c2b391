"""Compare rules of learning: each tuned alike, on the same network."""

from keras_seqattn.learning_rules.compare import (
    compare_learning_rules as compare_learning_rules,
)
from keras_seqattn.learning_rules.data import LabelledImages as LabelledImages
from keras_seqattn.learning_rules.data import load_digits as load_digits
from keras_seqattn.learning_rules.data import load_mnist as load_mnist
from keras_seqattn.learning_rules.methods import METHODS as METHODS
from keras_seqattn.learning_rules.methods import (
    FeedbackAlignmentNetwork as FeedbackAlignmentNetwork,
)
from keras_seqattn.learning_rules.methods import Method as Method
from keras_seqattn.learning_rules.optimizer import LayerwiseSGD as LayerwiseSGD
from keras_seqattn.learning_rules.report import LearningReport as LearningReport
from keras_seqattn.learning_rules.report import MethodResult as MethodResult
from keras_seqattn.learning_rules.search import RateSearch as RateSearch
from keras_seqattn.learning_rules.search import Rates as Rates
from keras_seqattn.learning_rules.training import RuleTrainer as RuleTrainer
from keras_seqattn.learning_rules.sequences import (
    SEQUENCE_METHODS as SEQUENCE_METHODS,
)
from keras_seqattn.learning_rules.sequences import (
    SequenceReport as SequenceReport,
)
from keras_seqattn.learning_rules.sequences import (
    TaughtSequences as TaughtSequences,
)
from keras_seqattn.learning_rules.sequences import (
    compare_on_sequences as compare_on_sequences,
)
from keras_seqattn.learning_rules.sequences import (
    draw_sinusoids as draw_sinusoids,
)
from keras_seqattn.learning_rules.sequences import (
    draw_xor_sequences as draw_xor_sequences,
)
