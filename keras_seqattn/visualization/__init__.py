"""Figures. Each function draws on the given axes and returns them.

`matplotlib.pyplot.style.use("keras_seqattn.visualization.style")` draws them
in the colours and sizes of the documentation.
"""

from keras_seqattn.visualization.activity import (
    plot_attention_over_past as plot_attention_over_past,
)
from keras_seqattn.visualization.activity import (
    plot_confusion_matrix as plot_confusion_matrix,
)
from keras_seqattn.visualization.activity import (
    plot_learning_curves as plot_learning_curves,
)
from keras_seqattn.visualization.burst_prop import (
    plot_burst_learning as plot_burst_learning,
)
from keras_seqattn.visualization.burst_prop import (
    plot_learning_by_method as plot_learning_by_method,
)
from keras_seqattn.visualization.decoding import (
    plot_attention_profile as plot_attention_profile,
)
from keras_seqattn.visualization.decoding import (
    plot_cumulative_share as plot_cumulative_share,
)
from keras_seqattn.visualization.decoding import (
    plot_decoded_trace as plot_decoded_trace,
)
from keras_seqattn.visualization.decoding import (
    plot_latency as plot_latency,
)
from keras_seqattn.visualization.decoding import (
    plot_score_against_timesteps as plot_score_against_timesteps,
)
from keras_seqattn.visualization.memory import (
    plot_accuracy_against_delay as plot_accuracy_against_delay,
)
from keras_seqattn.visualization.memory import (
    plot_activation_over_time as plot_activation_over_time,
)
from keras_seqattn.visualization.memory import (
    plot_memory_traces as plot_memory_traces,
)
from keras_seqattn.visualization.memory import (
    plot_modulation as plot_modulation,
)
from keras_seqattn.visualization.timeline import (
    plot_timeline as plot_timeline,
)
