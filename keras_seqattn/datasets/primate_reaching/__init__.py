"""Two macaques reaching: spikes, and the movement of cursor and finger."""
