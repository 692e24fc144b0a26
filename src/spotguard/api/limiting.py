"""Rate limits: of a tenant's client API, of strangers by address, and harder of credentials that open nothing.

An agent whose token is known to be good meets none of them: presence, notices and hand-overs are never turned away.
Whoever shares an address with someone who guesses is not locked out with him: over the limit a token is looked up
before it is refused, so many times a second as the database does not feel. Guessing 256 bits gains nothing by that.
Counters are this process's own: several processes allow as many times more.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spotguard.api.credentials import hash_in, session_in
from spotguard.api.problems import Problem, too_busy
from spotguard.api.turns import Turns
from spotguard.ports.clock import Clock

_MOST = 100_000  # counters and tokens that are remembered: a flood of addresses costs bounded memory
_MORE_FOR_AGENTS = 10  # a successor that nobody knows yet may share its address with agents that were revoked
_LOOKUPS_PER_SECOND = 50  # of tokens that are not known here, from addresses over their limit, all together
_IPV6_SITE = 64  # one customer has at least so many bits for himself
_OK, _REDIRECT, _UNAUTHORIZED = 200, 300, 401
_AGENT, _CLIENT = "/api/agents/", "/api/client/"


IsGood = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True)
class RateLimits:
    """How much a minute, each; 0 turns one off."""

    client_per_minute: int = 3000
    strangers_per_minute: int = 600
    failures_per_minute: int = 60


class Windows(Storage):
    """The library's counters, on our clock and in bounded memory."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}  # and until when it counts

    @property
    def base_exceptions(self) -> type[Exception]:
        return KeyError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        if len(self._counts) >= _MOST:
            self.reset()
        now = self._clock.now().timestamp()
        count, until = self._counts.get(key, (0, 0.0))
        count, until = (count + amount, until) if now < until else (amount, now + expiry)
        self._counts[key] = (count, until)
        return count

    def get(self, key: str) -> int:
        count, until = self._counts.get(key, (0, 0.0))
        return count if self._clock.now().timestamp() < until else 0

    def get_expiry(self, key: str) -> float:
        return self._counts.get(key, (0, self._clock.now().timestamp()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        forgotten = len(self._counts)
        self._counts.clear()
        return forgotten

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)


class Caller(NamedTuple):
    """Who asks. `token`: the hash of the bearer token or of the session's secret, None without one."""

    address: str
    path: str
    token: str | None


class Limited:
    """The application behind the limits. `is_good`: whether a token, given by its hash, opens anything."""

    def __init__(self, app: ASGIApp, clock: Clock, limits: RateLimits, is_good: IsGood) -> None:
        self._app = app
        self._is_good = is_good
        self._lookups = RateLimitItemPerSecond(_LOOKUPS_PER_SECOND, namespace="lookups")
        self._clock = clock
        self._counters = FixedWindowRateLimiter(Windows(clock))
        self._client = _item("client", limits.client_per_minute)
        self._strangers = _item("strangers", limits.strangers_per_minute)
        self._failures = _item("failures", limits.failures_per_minute)
        self._agents_failures = _item("agents-failures", limits.failures_per_minute * _MORE_FOR_AGENTS)
        self._good: dict[str, None] = {}
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = _caller(scope)
        refused = self._refusal(caller)
        if refused is not None and not await self._is_good_after_all(caller):
            await refused.response()(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if caller.token is not None and message["type"] == "http.response.start":
                self._note(caller, message["status"])
            await send(message)

        async with self._turns.of(caller.token, caller.path):
            await self._app(scope, receive, noting)

    def _refusal(self, caller: Caller) -> Problem | None:
        if caller.token is None:
            what = "requests without a credential came from your address"
            return self._hit(self._strangers, site_of(caller.address), what)
        if caller.token not in self._good:
            what = "credentials that open nothing came from your address"
            return self._look(self._failures_at(caller.path), site_of(caller.address), what)
        if caller.path.startswith(_CLIENT):
            return self._hit(self._client, caller.token, "requests came with this tenant's token")
        return None

    async def _is_good_after_all(self, caller: Caller) -> bool:
        """A token that was not known here, from an address where others failed."""
        if caller.token is None or caller.token in self._good:
            return False
        if not self._counters.hit(self._lookups, "all") or not await self._is_good(caller.token):
            return False
        self._remember(caller.token)
        return True

    def _remember(self, token: str) -> None:
        if len(self._good) >= _MOST:
            self._good.clear()
        self._good[token] = None

    def _note(self, caller: Caller, status: int) -> None:
        """Under /api nothing is answered with success without a good credential."""
        if caller.token is None:
            return
        if status == _UNAUTHORIZED:
            self._good.pop(caller.token, None)
            limit = self._failures_at(caller.path)
            if limit is not None:
                self._counters.hit(limit, site_of(caller.address))
        elif _OK <= status < _REDIRECT and caller.path.startswith((_AGENT, _CLIENT)):
            self._remember(caller.token)

    def _failures_at(self, path: str) -> RateLimitItem | None:
        return self._agents_failures if path.startswith(_AGENT) else self._failures

    def _hit(self, limit: RateLimitItem | None, key: str, what: str) -> Problem | None:
        if limit is None or self._counters.hit(limit, key):
            return None
        return self._too_many(limit, key, what)

    def _look(self, limit: RateLimitItem | None, key: str, what: str) -> Problem | None:
        if limit is None or self._counters.test(limit, key):
            return None
        return self._too_many(limit, key, what)

    def _too_many(self, limit: RateLimitItem, key: str, what: str) -> Problem:
        left = self._counters.get_window_stats(limit, key).reset_time - self._clock.now().timestamp()
        return too_busy(f"more than {limit.amount} {what} within a minute", max(1, math.ceil(left)))


def _item(name: str, per_minute: int) -> RateLimitItem | None:
    return RateLimitItemPerMinute(per_minute, namespace=name) if per_minute > 0 else None


def _caller(scope: Scope) -> Caller:
    told = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
    bearer = told.get(b"authorization")
    token = session_in(told.get(b"cookie", "")) if bearer is None else hash_in(bearer)
    host = scope["client"][0] if scope.get("client") else ""
    return Caller(host, scope["path"], token)


def site_of(address: str) -> str:
    """Whom an address stands for: an IPv6 customer can change it at will within his prefix."""
    try:
        known = ip_address(address)
    except ValueError:  # a Unix socket, or a test's name
        return address
    if isinstance(known, IPv6Address):
        return str(ip_network((known, _IPV6_SITE), strict=False))
    return address
