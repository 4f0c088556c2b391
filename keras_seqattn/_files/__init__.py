"""Files of strangers, read with limits and with errors that say where."""
