"""All guards that are removed, one after the other."""

from tests.model.mutants import (
    of_caches,
    of_connections,
    of_ends,
    of_faults,
    of_handlers,
    of_hold_outs,
    of_machines,
    of_names,
    of_nodes,
    of_peers,
    of_reconciles,
    of_reports,
    of_runs,
    of_situations,
    of_starts,
    of_statuses,
)

MUTANTS = [
    *of_nodes.MUTANTS,
    *of_peers.MUTANTS,
    *of_machines.MUTANTS,
    *of_situations.MUTANTS,
    *of_runs.MUTANTS,
    *of_names.MUTANTS,
    *of_starts.MUTANTS,
    *of_ends.MUTANTS,
    *of_faults.MUTANTS,
    *of_hold_outs.MUTANTS,
    *of_statuses.MUTANTS,
    *of_caches.MUTANTS,
    *of_reconciles.MUTANTS,
    *of_handlers.MUTANTS,
    *of_reports.MUTANTS,
    *of_connections.MUTANTS,
]
