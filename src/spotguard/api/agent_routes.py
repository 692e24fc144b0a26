"""The agent API: every call with its credential, body and replies, as plain Starlette routes.

One table makes the routes and their part of openapi.json.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import command_polls, presence, pricing, registering, signalling, switch_reports
from spotguard.api.context import Api
from spotguard.api.problems import ProblemRoute
from spotguard.wire import agent as wire

Handler = Callable[[Api, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Call:
    """One call of the agent API. `credential`: `agent`, `client`, or `enrolment` (a client's or a launch's token)."""

    method: str
    path: str
    handler: Handler
    credential: str
    summary: str
    takes: type | None
    gives: type
    statuses: tuple[int, ...] = (200,)
    query: tuple[tuple[str, int], ...] = ()  # whole numbers from 0 to their highest

    def route(self, api: Api) -> ProblemRoute:
        handler = self.handler

        async def endpoint(request: Request) -> Response:
            return await handler(api, request)

        name = handler.__name__
        return ProblemRoute(self.path, endpoint, methods=[self.method], name=name)


_AGENT = "/api/agents/{agent_id}"

AGENT_CALLS: tuple[Call, ...] = (
    Call(
        "POST",
        f"{_AGENT}/heartbeat",
        presence.heartbeat,
        "agent",
        "This instance lives; what is it, and is there something to do?",
        wire.Heartbeat,
        wire.HeartbeatReply,
    ),
    Call(
        "POST",
        f"{_AGENT}/pricing-report",
        pricing.pricing_report,
        "agent",
        "Spot prices as this account sees them; the good items are kept",
        wire.PricingReport,
        wire.PricingReply,
    ),
    Call(
        "GET",
        f"{_AGENT}/pending-commands",
        command_polls.pending_commands,
        "agent",
        "Long poll: commands leased to this instance; early when the configuration changed",
        None,
        wire.PendingCommands,
        query=(("wait", command_polls.LONGEST_WAIT_SECONDS), ("config_version", 2**31)),
    ),
    Call(
        "POST",
        f"{_AGENT}/commands/{{command_id}}/result",
        command_polls.command_result,
        "agent",
        "How a command ended; the same again changes nothing",
        wire.CommandResult,
        wire.StoredCommand,
    ),
    Call(
        "POST",
        f"{_AGENT}/switch-report",
        switch_reports.switch_report,
        "agent",
        "Progress of a move, in parts or whole; the reply says what is recorded",
        wire.SwitchReport,
        wire.SwitchReply,
    ),
    Call(
        "POST",
        f"{_AGENT}/interruption-signal",
        signalling.interruption_signal,
        "agent",
        "AWS says that this instance may or will be taken",
        wire.Signal,
        wire.SignalReply,
    ),
    Call(
        "POST",
        f"{_AGENT}/replicas/{{replica_id}}/sync-status",
        signalling.sync_status,
        "agent",
        "How complete this standby's state is",
        wire.SyncReport,
        wire.ReplicaReply,
    ),
    Call(
        "POST",
        f"{_AGENT}/switches/{{switch_id}}/fallback-status",
        signalling.fallback_status,
        "agent",
        "What this old instance of a move has of the new one's state",
        wire.SyncReport,
        wire.FallbackReply,
    ),
    Call(
        "POST",
        f"{_AGENT}/replicas/{{replica_id}}/promote",
        signalling.promote,
        "client",
        "Begin the move that makes this replica the primary",
        wire.Empty,
        wire.Promotion,
    ),
    Call(
        "GET",
        f"{_AGENT}/config",
        registering.config,
        "agent",
        "The stored configuration, and the standbys to feed",
        None,
        wire.AgentConfig,
    ),
    Call(
        "POST",
        "/api/agents/register",
        registering.register,
        "enrolment",
        "An instance says who it is and receives its token and role",
        wire.Register,
        wire.Registered,
        statuses=(201, 200),
    ),
)
