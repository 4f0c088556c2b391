"""Export: from a trained model to an artifact that was seen to work."""

from keras_seqattn.export.litert import export_litert as export_litert
from keras_seqattn.export.onnx import export_onnx as export_onnx
from keras_seqattn.export.onnx_engine import onnx_engine as onnx_engine
from keras_seqattn.export.preprocessing import Preprocessing as Preprocessing
from keras_seqattn.export.preprocessing_tag import (
    PreprocessingTag as PreprocessingTag,
)
from keras_seqattn.export.preprocessing_tag import (
    preprocessing_of as preprocessing_of,
)
from keras_seqattn.export.saved_model import (
    export_saved_model as export_saved_model,
)
