"""The guards of what people are told of a round that runs, but not well."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "handler/rendezvous_handler/agent/degradation.py",
        ["test_handler_degradation.py"],
        (
            "look only at what is new",
            "if rendezvous is None or (rendezvous is self._seen and not self._is_held_back):",
            "if rendezvous is None:",
        ),
        (
            "look again at what was not logged yet",
            "if rendezvous is None or (rendezvous is self._seen and not self._is_held_back):",
            "if rendezvous is None or rendezvous is self._seen:",
        ),
        ("say nothing of another round", "        if status.round != number:\n", "        if False:\n"),
        (
            "forget a message that has passed before it was logged",
            "        self._is_held_back = False\n        if self._round",
            "        if self._round",
        ),
    ),
]
