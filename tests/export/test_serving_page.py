import json
import pathlib
import re

import numpy as np

import keras_seqattn as ks
from keras_seqattn.export.attention import with_attention_scores
from keras_seqattn.export.named_model import NamedModel

PAGE = pathlib.Path(__file__).parents[2] / "docs/serving.md"


def test_the_requests_are_those_that_the_signature_takes():
    """The Python of the page runs in tests/test_documentation.py."""
    text = PAGE.read_text()
    request, answer = map(
        json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    )
    model = ks.models.build_neural_decoder(None, channels=4, units=8)
    named = NamedModel(with_attention_scores(model))
    assert list(request["inputs"]) == list(named.inputs)
    assert list(answer["outputs"]) == named.outputs
    inputs = {k: np.array(x, "float32") for k, x in request["inputs"].items()}
    outputs = named.name(named.model(named.pack(inputs)))
    for name, shown in answer["outputs"].items():
        assert np.array(shown).shape == tuple(outputs[name].shape)
