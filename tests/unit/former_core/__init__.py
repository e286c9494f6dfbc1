"""The decision core: ``(now, world, memory) -> Decision``. No I/O, no clock, no randomness."""
