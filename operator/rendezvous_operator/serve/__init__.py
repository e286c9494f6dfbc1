"""The operator's HTTP endpoints: probes and metrics."""
