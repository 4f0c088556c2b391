"""How many threads a process that runs trials starts."""


def thread_environment(threads: int) -> dict[str, str]:
    """Return variables to be set before a process starts.

    Left alone, every worker on a machine starts as many threads as there are
    cores, and they get in each other's way.

    Args:
        threads: Positive integer, CPU threads of the process.
    """
    return {
        "OMP_NUM_THREADS": str(threads),  # torch, NumPy
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "NPROC": str(threads),  # XLA: JAX
    }
