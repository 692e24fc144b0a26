"""Signing in and out: a browser shows the tenant's token once and is given a session."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from spotguard.wire.client import Given, Moment, Taken


class SignIn(Taken):
    """`token`: the tenant's."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class SessionState(Given):
    """Who is signed in. `csrfToken` goes with every call that changes something, as the header X-CSRF-Token."""

    client_id: str
    name: str
    csrf_token: str
    expires_at: Moment
