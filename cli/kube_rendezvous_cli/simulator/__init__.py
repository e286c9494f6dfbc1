"""The operator's decisions on a virtual clock: for scenarios in files, and for what would happen to a live group."""
