from keras_seqattn.layers.larnn import LARNN as LARNN
from keras_seqattn.layers.larnn import LARNNCell as LARNNCell
from keras_seqattn.layers.temporal_attention import (
    TemporalAttention as TemporalAttention,
)
