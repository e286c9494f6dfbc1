"""What of the test cluster runs, and what it costs."""

import os
from pathlib import Path

from rendezvous_controlplane import Report

from . import api, control_plane, layout, node
from .machine import Machine
from .programs import ensure_programs

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def print_status() -> int:
    """Print a line for each program, and whether the nodes are Ready; returns 0 if all is well, else 1."""
    report = Report()
    programs = ensure_programs(report)
    wanted = {layout.CONTROL: control_plane.PROGRAMS, **dict.fromkeys(layout.NODES, node.PROGRAMS)}
    well, total = True, 0
    print(f"{'':10}{'program':25}{'process':>9}{'memory':>9}{'CPU time':>11}")
    for name, members in wanted.items():
        machine = Machine(name, programs, report)
        for program in members:
            pids = machine.program_pids(program)
            if not pids:
                well = False
                print(f"{name:10}{program:25}{'-':>9}")
                continue
            memory, seconds = _costs(pids[0])
            total += memory
            print(f"{name:10}{program:25}{pids[0]:>9}{memory >> 20:>5} MiB{seconds:>9.1f} s")
    print(f"{'':10}{'together':25}{'':>9}{total >> 20:>5} MiB")
    missing = api.nodes_not_ready({}) if layout.kubeconfig().exists() else "there is no cluster"
    print(missing or "The API server answers, and both machines are Ready.")
    return 0 if well and not missing else 1


def _costs(pid: int) -> tuple[int, float]:
    """Resident memory in bytes and CPU time in seconds."""
    resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return resident, (int(fields[11]) + int(fields[12])) / _TICKS
