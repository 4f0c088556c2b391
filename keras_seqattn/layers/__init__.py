from keras_seqattn.layers.burst_prop_dense import (
    BurstPropDense as BurstPropDense,
)
from keras_seqattn.layers.gain_modulated_neuron import (
    GainModulatedNeuron as GainModulatedNeuron,
)
from keras_seqattn.layers.gain_modulated_neuron_cell import (
    GainModulatedNeuronCell as GainModulatedNeuronCell,
)
from keras_seqattn.layers.larnn import LARNN as LARNN
from keras_seqattn.layers.larnn_cell import LARNNCell as LARNNCell
from keras_seqattn.layers.temporal_attention import (
    TemporalAttention as TemporalAttention,
)
