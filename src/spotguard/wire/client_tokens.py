"""The client API's credentials: what opens something, never the secret itself, but once when it is made."""

from __future__ import annotations

from typing import Literal

from spotguard.wire.client import Given, Moment, Taken


class AgentTokenState(Given):
    """A token that an instance was given at its registration; `revokedAt` null while it opens something.

    `instanceEndedAt`: since when EC2 shows its instance ended; null while it does not.
    """

    agent_id: str
    logical_agent_id: str
    instance_id: str
    created_at: Moment
    revoked_at: Moment | None
    instance_ended_at: Moment | None


class BrowserState(Given):
    """A browser that is signed in. `isThis`: the one that asks."""

    created_at: Moment
    expires_at: Moment
    is_this: bool


class Tokens(Given):
    """Agents' newest tokens, newest first, 200 at the most, and the tenant's browsers."""

    agent_tokens: list[AgentTokenState]
    browsers: list[BrowserState]


class RotationWish(Taken):
    """Said in so many words, since every script with the former token fails from then on."""

    confirm: Literal[True]


class NewToken(Given):
    """The tenant's new token: it is shown here and never again."""

    token: str
