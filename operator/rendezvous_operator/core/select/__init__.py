"""Who is chosen for the next round, in which order, and who waits as a spare."""
