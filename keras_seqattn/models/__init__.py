from keras_seqattn.models.activity_classifier import (
    build_activity_classifier as build_activity_classifier,
)
from keras_seqattn.models.activity_classifier import (
    past_attention_model as past_attention_model,
)
from keras_seqattn.models.burst_prop_network import (
    BurstPropNetwork as BurstPropNetwork,
)
from keras_seqattn.models.memory_network import (
    build_memory_network as build_memory_network,
)
from keras_seqattn.models.memory_network import (
    modulation_model as modulation_model,
)
from keras_seqattn.models.neural_decoder import (
    attention_scores_model as attention_scores_model,
)
from keras_seqattn.models.neural_decoder import (
    build_neural_decoder as build_neural_decoder,
)
