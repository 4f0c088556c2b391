from keras_seqattn.layers.temporal_attention import (
    TemporalAttention as TemporalAttention,
)
