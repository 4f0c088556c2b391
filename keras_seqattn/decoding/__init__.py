"""Decode a recording: search the window length, train, compare, report."""

from keras_seqattn._training.recipe import Recipe as Recipe
from keras_seqattn.decoding.baselines import KalmanFilter as KalmanFilter
from keras_seqattn.decoding.baselines import SimpleDecoder as SimpleDecoder
from keras_seqattn.decoding.baselines import WienerCascade as WienerCascade
from keras_seqattn.decoding.baselines import WienerFilter as WienerFilter
from keras_seqattn.decoding.baselines import mean_baseline as mean_baseline
from keras_seqattn.decoding.calibration import CALIBRATION as CALIBRATION
from keras_seqattn.decoding.calibration import calibrate as calibrate
from keras_seqattn.decoding.costs import Costs as Costs
from keras_seqattn.decoding.costs import model_costs as model_costs
from keras_seqattn.decoding.data import Coverage as Coverage
from keras_seqattn.decoding.data import DecodingData as DecodingData
from keras_seqattn.decoding.data import coverage_text as coverage_text
from keras_seqattn.decoding.deployed import (
    predict_recording as predict_recording,
)
from keras_seqattn.decoding.latency import Latency as Latency
from keras_seqattn.decoding.latency import measure_latency as measure_latency
from keras_seqattn.decoding.parts import fold_parts as fold_parts
from keras_seqattn.decoding.predictions import Predictions as Predictions
from keras_seqattn.decoding.report import DecodingReport as DecodingReport
from keras_seqattn.decoding.score import Score as Score
from keras_seqattn.decoding.compare import decode_recording as decode_recording
from keras_seqattn.decoding.sources import load_recording as load_recording
from keras_seqattn.decoding.sources import (
    recording_contents as recording_contents,
)
from keras_seqattn.decoding.spike_binner import SpikeBin as SpikeBin
from keras_seqattn.decoding.spike_binner import SpikeBinner as SpikeBinner
from keras_seqattn.decoding.timestep_selection import (
    TimestepRecommendation as TimestepRecommendation,
)
from keras_seqattn.decoding.timestep_selection import (
    TimestepSelection as TimestepSelection,
)
from keras_seqattn.decoding.timestep_selection import (
    recommend_timesteps as recommend_timesteps,
)
from keras_seqattn.decoding.timestep_selection import (
    select_timesteps as select_timesteps,
)
from keras_seqattn.windows.recording import Recording as Recording
from keras_seqattn.decoding.training import RECIPE as RECIPE
