"""What torchrun starts as a worker: it stands for one that `workers` has forked. Needs the standard library alone."""

import json
import os
import signal
import socket
import sys

workers = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
workers.connect(os.environ["CHAOS_WORKERS"])
request = {"pid": os.getpid(), "environment": dict(os.environ), "arguments": sys.argv[1:]}
socket.send_fds(workers, [json.dumps(request).encode()], [1])
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: workers.send(str(number).encode()))
code = int(workers.recv(16) or 1)
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
