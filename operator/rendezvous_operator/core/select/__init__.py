"""Which nodes are chosen for the next round, in which order, and which wait as spares."""
