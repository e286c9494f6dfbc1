"""A client of the operator without an API server, for what is read by single requests."""

from typing import Any

from rendezvous_operator.kube.client import Client, Json


class OneAnswer(Client):
    """An API server that answers each read in the same way, until a test changes that, or has other answers before."""

    def __init__(self, answer: Json | Exception) -> None:
        self.answer = answer
        self.answers: list[Json | Exception] = []
        """The next ones, in their order."""
        self.paths: list[str] = []

    async def request(self, method: str, path: str, query: dict[str, str] | None = None, **_: Any) -> Json:
        asked = "&".join(f"{key}={value}" for key, value in (query or {}).items())
        self.paths.append(f"{method} {path}" + (f"?{asked}" if asked else ""))
        answer = self.answers.pop(0) if self.answers else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer
