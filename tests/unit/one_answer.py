"""A client of the operator without an API server, for what is read by single requests."""

from typing import Any

from rendezvous_operator.kube.client import Client, Json


class OneAnswer(Client):
    """An API server that answers each read in the same way, until a test changes that."""

    def __init__(self, answer: Json | Exception) -> None:
        self.answer = answer
        self.paths: list[str] = []

    async def request(self, method: str, path: str, query: dict[str, str] | None = None, **_: Any) -> Json:
        self.paths.append(f"{method} {path}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
