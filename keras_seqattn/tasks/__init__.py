from keras_seqattn.tasks.simulated_reaching import (
    simulated_reaching as simulated_reaching,
)
