"""Training memory networks, and telling whether they remember."""

from keras_seqattn._training.recipe import Recipe as Recipe
from keras_seqattn.memory.compare import (
    train_memory_network as train_memory_network,
)
from keras_seqattn.memory.loss import RecallLoss as RecallLoss
from keras_seqattn.memory.recipe import LOSSES as LOSSES
from keras_seqattn.memory.recipe import RECIPES as RECIPES
from keras_seqattn.memory.report import MemoryReport as MemoryReport
from keras_seqattn.memory.report import RecallScore as RecallScore
from keras_seqattn.memory.training import FreshBatches as FreshBatches
from keras_seqattn.memory.training import MemoryTrainer as MemoryTrainer
