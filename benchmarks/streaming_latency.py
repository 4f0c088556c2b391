"""One step of a LARNN, in every way to run it, on this backend.

python benchmarks/streaming_latency.py [rounds]

128 units, 8 heads, window 30, 40 channels, one stream. In turn in one process,
so that a drift of the machine hits all alike; printed are median and 99th
percentile of the wall, and the median of CPU time, in microseconds, of

- the step model as Keras calls it;
- `StreamingSession.push`, which compiles it, and by `export.onnx_engine`;
- its SavedModel, by TensorFlow; its ONNX file, by onnxruntime (needs both);
- the model of sequences over the last 30 steps, which is what a window costs
  that is computed anew: compiled, and by `predict_on_batch`.

All on one thread: a step is too small for two.
"""

import os
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
if os.environ.get("KERAS_BACKEND") == "torch":
    import torch  # before TensorFlow

    torch.set_num_threads(1)
import keras
import numpy as np
from keras import ops

import keras_seqattn as ks

CHANNELS, UNITS, HEADS, WINDOW = 40, 128, 8, 30
SLOW = 10  # These are called once in as many rounds.


def saved_model(path, states, x):
    import tensorflow as tf

    step = tf.saved_model.load(path).signatures["step"]
    here = tf.constant([True])

    def push():
        found = step(counts=tf.constant(x), mask=here, **push.states)
        push.states = {name: found[f"next_{name}"] for name in states}
        return found["larnn"].numpy()

    push.states = {name: tf.constant(value) for name, value in states.items()}
    push.loaded = step
    return push


def onnx(path, states, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    step = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = ["larnn", *(f"next_{name}" for name in states)]
    here = np.array([True])

    def push():
        given = {"counts": x, "mask": here, **push.states}
        output, *new = step.run(names, given)
        push.states = dict(zip(states, new, strict=True))
        return output

    push.states = dict(states)
    return push


def keras_call(step, states, x):
    given = {
        name: ops.convert_to_tensor(value)
        for name, value in {"counts": x, "mask": [True], **states}.items()
    }

    def push():
        found = step(given)
        given.update({name: found[f"next_{name}"] for name in states})
        return ops.convert_to_numpy(found["larnn"])

    if keras.backend.backend() == "torch":
        push = torch.no_grad()(push)
    return push


def compiled_window(model, x):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        run = jax.jit(lambda x: model(x))
    elif backend == "tensorflow":
        import tensorflow as tf

        run = tf.function(lambda x: model(x), autograph=False)
    else:
        run = torch.no_grad()(model)
    return lambda: ops.convert_to_numpy(run(ops.convert_to_tensor(x)))


def main(rounds: int = 2000) -> None:
    inputs = keras.Input((None, CHANNELS), name="counts")
    larnn = ks.layers.LARNN(UNITS, HEADS, WINDOW, name="larnn")
    model = keras.Model(inputs, larnn(inputs))
    step = ks.streaming.step_model(model)
    states = ks.streaming.initial_state(step)
    sequence = np.ones((1, WINDOW, CHANNELS), "float32")
    x = sequence[:, 0]
    session = ks.streaming.StreamingSession(step)
    onnx_session = ks.streaming.StreamingSession(
        step, engine=ks.export.onnx_engine
    )
    with tempfile.TemporaryDirectory() as folder:
        ks.export.export_saved_model(step, f"{folder}/step")
        ks.export.export_onnx(step, f"{folder}/step.onnx")
        ways = {
            "Keras' call": keras_call(step, states, x),
            "StreamingSession.push": lambda: session.push(x),
            "the same, onnxruntime": lambda: onnx_session.push(x),
            "SavedModel": saved_model(f"{folder}/step", states, x),
            "onnxruntime, by hand": onnx(f"{folder}/step.onnx", states, x),
            f"{WINDOW} steps anew, compiled": compiled_window(model, sequence),
            f"{WINDOW} steps anew, predict_on_batch": lambda: (
                model.predict_on_batch(sequence)
            ),
        }
    # The same numbers, after as many steps as a window has.
    for _ in range(WINDOW - 1):
        for name in list(ways)[:5]:
            ways[name]()
    outputs = {name: way() for name, way in ways.items()}
    expected = outputs[f"{WINDOW} steps anew, compiled"]
    for name, output in outputs.items():
        np.testing.assert_allclose(output, expected, atol=1e-5, err_msg=name)

    times = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            if number % SLOW and ("anew" in name or name == "Keras' call"):
                continue
            start = np.array([time.perf_counter(), time.process_time()])
            way()
            end = np.array([time.perf_counter(), time.process_time()])
            times[name].append(1e6 * (end - start))
    print(
        f"| {keras.backend.backend()} | p50 (us) | p99 (us) | CPU (us) |\n"
        "|---|---|---|---|"
    )
    for name, values in times.items():
        wall, cpu = np.transpose(values)
        p50, p99 = np.percentile(wall, (50, 99))
        print(f"| {name} | {p50:.0f} | {p99:.0f} | {np.median(cpu):.0f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
