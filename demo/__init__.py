"""What `make demo` and `make playground` run: a group of torchrun agents on a real API server, on this machine."""
