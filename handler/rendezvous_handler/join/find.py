"""Finding the Rendezvous to join, and creating it when there is none."""

from __future__ import annotations

import logging

from rendezvous_api import names
from rendezvous_api.api_errors import AlreadyExistsError, ApiError, InvalidError, UnreachableError
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.join.errors import ConnectError, JoinError, StateError
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.errors import UnreadableError, advise, may_pass
from rendezvous_handler.settings import differences, requested_spec

_logger = logging.getLogger(__name__)


def read_error(error: ApiError) -> JoinError:
    """The error of a join that cannot read the Rendezvous for good.

    As in torch (c10d_rendezvous_backend.py, ``_call_store`` and ``_decode_state``) there are two: StateError where the
    state was received and makes no sense, ConnectError where it was not received.
    """
    kind = StateError if isinstance(error, UnreadableError) else ConnectError
    return kind(advise(error))


class Finder:
    """Finds the Rendezvous of one agent, in the main thread."""

    def __init__(self, agent: Agent, wait: JoinWait):
        """Do nothing yet.

        Args:
            agent: the agent that joins.
            wait: how long it waits, and what is logged meanwhile.
        """
        self._agent = agent
        self._wait = wait

    def find(self) -> Rendezvous:
        """Return the Rendezvous; waits for an answer of the API server, and creates the object if there is none.

        Raises:
            ConnectError: the API server cannot be reached, or refuses what an agent needs, for the join timeout.
            StateError: it cannot be read, or not be created as the settings say.
            TimedOutError: there is none within the join timeout, and it is not for this agent to create it.
        """
        watch = self._agent.watch
        last_seen = watch.last_seen
        while True:
            state = watch.state
            if state.rendezvous is not None:
                self._wait.follow(state.rendezvous)
                self._compare(state.rendezvous)
                return state.rendezvous
            if state.error is not None and may_pass(state.error):
                self._wait.refused(state.error)
            elif state.error is not None and not isinstance(state.error, UnreachableError):
                raise read_error(state.error)
            elif not state.read:
                self._wait.tick()
                self._await_first_answer()
            else:
                self._wait.tick()
                if not self._wait.reporter.outage(self._agent.client.contact) and state.error is None:
                    self._do_without(last_seen)
            self._wait.pause()

    def _compare(self, rendezvous: Rendezvous) -> None:
        if self._agent.attempt == 0 and (found := differences(self._agent.settings, rendezvous.spec)):
            _logger.warning(
                "the Rendezvous %s and the settings of this node differ; the Rendezvous wins: %s",
                self._agent.reference,
                "; ".join(found),
            )

    def _await_first_answer(self) -> None:
        contact, settings = self._agent.client.contact, self._agent.settings
        self._wait.reporter.first_contact(contact, settings.join_timeout)
        # Nothing else is known yet that could say how long to wait.
        if self._wait.clock.elapsed > settings.join_timeout:
            missing = "been trusted" if contact.untrusted else "answered"
            raise ConnectError(
                f"the API server at {self._agent.client.url} has not {missing} for {settings.join_timeout} s "
                f"(join_timeout of --rdzv-conf): {contact.cause}"
            )

    def _do_without(self, last_seen: Rendezvous | None) -> None:
        """There is no Rendezvous: create one if that is for the agents to do."""
        agent = self._agent
        made_by_agent = last_seen is None or last_seen.made_by_agent
        if agent.settings.create and made_by_agent:
            self._create()
        elif last_seen is None:
            forbidden = agent.settings.flags.without_create
            explanation = f"there is no Rendezvous {agent.reference}, and {forbidden}"
            self._wait.absent(f"{forbidden}; waiting for it to be created", explanation)
        else:
            # Its owner has deleted it, perhaps only to recreate it; another one from --nnodes is not what was meant.
            explanation = f"the Rendezvous {agent.reference} was deleted, and not created again"
            self._wait.absent("it was deleted; waiting for it to be created again", explanation)

    def _create(self) -> None:
        agent, settings = self._agent, self._agent.settings
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "metadata": {"name": settings.name, "labels": {names.LABEL_CREATED_BY: names.CREATED_BY_AGENT}},
            "spec": requested_spec(settings),
        }
        try:
            agent.call(lambda: agent.client.create_rendezvous(agent.namespace, body, agent.request_seconds))
        except AlreadyExistsError:
            _logger.debug("another agent has created %s", agent.reference)
        except UnreachableError:
            self._wait.reporter.outage(agent.client.contact)
        except InvalidError as error:
            raise StateError(f"the API server refuses to create {agent.reference}: {error}") from None
        except ApiError as error:
            if not may_pass(error):
                raise ConnectError(advise(error)) from None
            self._wait.refused(error)
        else:
            _logger.info(
                "created the Rendezvous %s for %d to %d nodes (%s)",
                agent.reference,
                settings.min_nodes,
                settings.max_nodes,
                settings.flags.nodes,
            )
