"""Streaming: a trained model, one step at a time, with its states in hand."""

from keras_seqattn.streaming.session import StreamingSession as StreamingSession
from keras_seqattn.streaming.step_model import initial_state as initial_state
from keras_seqattn.streaming.step_model import step_model as step_model
