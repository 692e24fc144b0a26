"""One `AwsCloud` for each account and region: clients that share one share it, and with it its connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account, Patience
from spotguard.cloud.aws.doors import Doors
from spotguard.cloud.aws.traffic import AwsTraffic
from spotguard.domain.ids import ClientId
from spotguard.ports.clock import Clock
from spotguard.ports.cloud import Cloud
from spotguard.ports.traffic import Traffic

READ_AGAIN = timedelta(seconds=5)


class AwsClouds:
    """Gives each client's cloud; None for a client without an account. Changed settings are noticed within seconds."""

    def __init__(
        self,
        accounts: Callable[[], Mapping[ClientId, Account]],
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        """`accounts` reads all of them anew."""
        self._accounts, self._clock = accounts, clock
        self._patience, self._doors = patience, Doors()
        self._known: Mapping[ClientId, Account] = {}
        self._clouds: dict[Account, AwsCloud] = {}
        self._traffics: dict[Account, AwsTraffic] = {}
        self._read_at: datetime | None = None

    def __call__(self, client_id: ClientId) -> Cloud | None:
        account = self._now_known().get(client_id)
        return None if account is None else self._clouds[account]

    def traffic(self, client_id: ClientId) -> Traffic | None:
        """The same for its routes."""
        account = self._now_known().get(client_id)
        if account is None:
            return None
        return self._traffics.setdefault(account, AwsTraffic(account, self._patience, self._doors))

    def _now_known(self) -> Mapping[ClientId, Account]:
        now = self._clock.now()
        if self._read_at is None or not timedelta() <= now - self._read_at < READ_AGAIN:
            known = self._accounts()
            self._clouds = {
                account: self._clouds.get(account) or AwsCloud(account, self._patience, self._doors)
                for account in known.values()
            }
            self._traffics = {a: t for a, t in self._traffics.items() if a in self._clouds}
            self._known, self._read_at = known, now
        return self._known
