from keras_seqattn.models.neural_decoder import (
    attention_scores_model as attention_scores_model,
)
from keras_seqattn.models.neural_decoder import (
    build_neural_decoder as build_neural_decoder,
)
