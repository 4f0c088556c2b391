"""A hundred pushes of one stream through a LARNN.

128 units, 8 heads, window 30, 40 channels: `StreamingSession.push`, on this
backend and by onnxruntime. More ways, and their percentiles:
`benchmarks/streaming_latency.py`.
"""

import functools

import keras
import numpy as np

import keras_seqattn as ks

PUSHES, CHANNELS = 100, 40


def pushes(engine=None):
    inputs = keras.Input((None, CHANNELS), name="counts")
    larnn = ks.layers.LARNN(128, num_heads=8, window_size=30)
    step = ks.streaming.step_model(keras.Model(inputs, larnn(inputs)))
    options = {"engine": ks.export.onnx_engine} if engine else {}
    session = ks.streaming.StreamingSession(step, **options)
    x = np.ones((1, CHANNELS), "float32")

    def push():
        for _ in range(PUSHES):
            session.push(x)

    return {"100 pushes": push}


CASES = {
    "on this backend": pushes,
    "`engine=export.onnx_engine`": functools.partial(pushes, "onnx"),
}
