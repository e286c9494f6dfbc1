"""Actions in sentences."""

from typing import Any

_SENTENCES: dict[str, str] = {
    "sees": "{0} sees the next event of its watch.",
    "acts": "{0} acts on what it knows.",
    "starts": "{0} starts.",
    "dies": "{0} dies.",
    "fails": "Workers of {0} fail, or its check-in.",
    "will lose an answer": "The next write of {0} will be carried out, and its answer lost.",
    "decides": "Operator {0} decides.",
    "answer": "The request of operator {0} is answered.",
    "is refused (429)": "The request of operator {0} is refused with 429.",
    "gets no answer": "The request of operator {0} fails with 500.",
    "loses its answer": "The request of operator {0} is carried out, and its answer lost.",
    "receives": "Operator {0} receives the next event of its watch of {1}.",
    "lists": "Operator {0} lists {1}.",
    "restarts": "Operator {0} is restarted.",
    "begins again": "Operator {0} begins again, since it has seen a restore.",
    "sleeps": "The machine of operator {0} is paused.",
    "wakes": "The machine of operator {0} goes on.",
    "gets the Lease": "Operator {0} becomes the leader.",
    "learns of another leader": "Operator {0} learns of another leader.",
    "time": "{0} s pass.",
    "loses sight": "{0} and {1} do not reach each other.",
    "meets": "{0} and {1} reach each other again.",
    "beats are lost": "What {0} sends to {1} on the second path is lost.",
    "beats come again": "What {0} sends to {1} on the second path comes again.",
    "collects garbage": "Kubernetes deletes the participants whose pods are gone.",
    "takes a snapshot": "A snapshot of etcd is taken.",
    "is restored": "etcd is restored to the snapshot.",
    "is restored with a bump": "etcd is restored to the snapshot, with a revision above all that it had.",
    "compacts": "etcd is compacted.",
    "creates": "A user creates the Rendezvous.",
    "deletes": "A user deletes the Rendezvous.",
    "suspends": "A user suspends it.",
    "resumes": "A user resumes it.",
    "asks for a round": "A user asks for another round.",
    "edits": "A user sets {0} to {1}.",
}


def sentence(action: tuple[Any, ...]) -> str:
    """What happens, for people."""
    what, *where = action
    template = _SENTENCES.get(what, f"{{0}} {what}.")
    return template.format(*where)
