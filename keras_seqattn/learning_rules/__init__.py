"""Compare rules of learning: each tuned alike, on the same network."""

from keras_seqattn._training.recipe import Recipe as Recipe
from keras_seqattn.learning_rules.images.compare import (
    compare_learning_rules as compare_learning_rules,
)
from keras_seqattn.learning_rules.images.data import (
    LabelledImages as LabelledImages,
)
from keras_seqattn.learning_rules.images.data import load_digits as load_digits
from keras_seqattn.learning_rules.images.data import load_mnist as load_mnist
from keras_seqattn.learning_rules.images.methods import METHODS as METHODS
from keras_seqattn.learning_rules.images.methods import (
    FeedbackAlignmentNetwork as FeedbackAlignmentNetwork,
)
from keras_seqattn.learning_rules.images.methods import Method as Method
from keras_seqattn.learning_rules.images.optimizer import (
    LayerwiseSGD as LayerwiseSGD,
)
from keras_seqattn.learning_rules.images.report import (
    LearningReport as LearningReport,
)
from keras_seqattn.learning_rules.images.report import (
    MethodResult as MethodResult,
)
from keras_seqattn.learning_rules.recipe import RECIPE as RECIPE
from keras_seqattn.learning_rules.recipe import (
    SEQUENCE_RECIPE as SEQUENCE_RECIPE,
)
from keras_seqattn.learning_rules.search import RateSearch as RateSearch
from keras_seqattn.learning_rules.search import Rates as Rates
from keras_seqattn.learning_rules.images.training import (
    RuleTrainer as RuleTrainer,
)
from keras_seqattn.learning_rules.sequences.methods import (
    SEQUENCE_METHODS as SEQUENCE_METHODS,
)
from keras_seqattn.learning_rules.sequences.report import (
    SequenceReport as SequenceReport,
)
from keras_seqattn.learning_rules.sequences.data import (
    TaughtSequences as TaughtSequences,
)
from keras_seqattn.learning_rules.sequences.compare import (
    compare_on_sequences as compare_on_sequences,
)
from keras_seqattn.learning_rules.sequences.data import (
    draw_sinusoids as draw_sinusoids,
)
from keras_seqattn.learning_rules.sequences.data import (
    draw_xor_sequences as draw_xor_sequences,
)
