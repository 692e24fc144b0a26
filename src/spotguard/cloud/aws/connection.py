"""Connections to one account in one region: clients made when first needed, one for looking and one for changing.

A call that changes something is sent once: whoever asked decides, with the token, what a lost answer means. A look may
be repeated by botocore. Who asks for many accounts gives `Doors`: one that does not answer then keeps nobody waiting
twice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spotguard.cloud.aws.doors import Door, Doors
from spotguard.cloud.aws.errors import ask
from spotguard.domain.errors import Doubtful, NeedsPerson

LOOK_ATTEMPTS = 2
SESSION_SECONDS = 3600  # of an assumed role; renewed in time by botocore
METHOD = "assume-role"
_PAGE = 1000
_PRICING_REGION = "us-east-1"  # the price list of all commercial regions is served there


@dataclass(frozen=True)
class Account:
    """Where to call and as whom. Without a role: as whoever this process is (environment, profile, instance role)."""

    region: str
    endpoint_url: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    session_name: str = "spotguard"


@dataclass(frozen=True)
class Patience:
    """Seconds until no answer counts as doubt."""

    connect: float = 3
    look: float = 15
    change: float = 30  # an instant fleet answers when it has tried every pool


class Connection:
    """Speaks to EC2, STS, load balancing, Route 53 and the price list. Threads may share it."""

    def __init__(self, account: Account, patience: Patience, doors: Doors | None = None) -> None:
        self.account = account
        self._patience = patience
        self._every_door = doors
        self._doors: dict[str, Door] = {}
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, bool], Any] = {}

    def look(self, operation: str, /, *, service: str = "ec2", **parameters: Any) -> Mapping[str, Any]:
        """One reading call; `CloudError`."""

        def call() -> Any:
            return ask(self._operation(service, operation, once=False), **parameters)

        door = self._door(service)
        answer: Mapping[str, Any] = call() if door is None else door.look(call)
        return answer

    def change(self, operation: str, /, *, service: str = "ec2", **parameters: Any) -> Mapping[str, Any]:
        """One changing call, sent once; `CloudError`."""

        def call() -> Any:
            return ask(self._operation(service, operation, once=True), **parameters)

        door = self._door(service)
        answer: Mapping[str, Any] = call() if door is None else door.change(call)
        return answer

    def _door(self, service: str) -> Door | None:
        if self._every_door is None:
            return None
        with self._lock:
            if service not in self._doors:
                self._doors[service] = self._every_door.door(f"{service} {self._region_of(service)}")
            return self._doors[service]

    def _region_of(self, service: str) -> str:
        return _PRICING_REGION if service == "pricing" else self.account.region

    def pages(
        self, operation: str, key: str, /, *, service: str = "ec2", size: int = _PAGE, **parameters: Any
    ) -> Iterator[Any]:
        """Everything under `key`, page after page. Pages may be short or empty: only a missing token is the end.

        A token that comes again would go on for ever (aws-sdk-java-v2#927): `Doubtful`.
        """
        seen: set[str] = set()
        more: dict[str, Any] = {"MaxResults": size}
        while True:
            page = self.look(operation, service=service, **parameters, **more)
            yield from page.get(key, ())
            token = page.get("NextToken")
            if not token:
                return
            if token in seen:
                raise Doubtful("RepeatedPage", f"{operation} gave the same page token twice")
            seen.add(token)
            more = {"MaxResults": size, "NextToken": token}

    def paginated(self, operation: str, key: str, /, *, service: str, **parameters: Any) -> Iterator[Any]:
        """The same for services that spell their pages in other ways: botocore knows each one's."""
        client = ask(self._client, service=service, once=False)
        pages = iter(client.get_paginator(operation).paginate(**parameters))
        while (page := ask(lambda: next(pages, None))) is not None:
            yield from page.get(key, ())

    def _operation(self, service: str, operation: str, *, once: bool) -> Any:
        return getattr(ask(self._client, service=service, once=once), operation)

    def _client(self, *, service: str, once: bool) -> Any:
        with self._lock:
            if (service, once) not in self._clients:
                self._session = self._session or self._open()
                self._clients[service, once] = self._make(service, once=once)
            return self._clients[service, once]

    def _make(self, service: str, *, once: bool) -> Any:
        return self._session.client(
            service,
            region_name=self._region_of(service),
            endpoint_url=self.account.endpoint_url,
            config=self._config(once=once),
        )

    def _config(self, *, once: bool) -> Any:
        from botocore.config import Config

        from spotguard import __version__

        return Config(
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.change if once else self._patience.look,
            retries={"total_max_attempts": 1 if once else LOOK_ATTEMPTS, "mode": "standard"},
            user_agent_extra=f"spotguard/{__version__}",
        )

    def _open(self) -> Any:
        import boto3
        from botocore.session import Session

        core = Session()
        core.set_config_variable("metadata_service_num_attempts", 3)
        core.set_config_variable("metadata_service_timeout", 2)
        own = boto3.Session(botocore_session=core, region_name=self.account.region)
        if self.account.role_arn is None:
            return own
        assumed = self._assumed(own, self.account.role_arn)
        return boto3.Session(botocore_session=assumed, region_name=self.account.region)

    def _assumed(self, own: Any, role_arn: str) -> Any:
        """The client's role, taken with the external id that we generated for this client alone."""
        from botocore.credentials import (
            AssumeRoleCredentialFetcher,
            CredentialResolver,
            DeferredRefreshableCredentials,
        )
        from botocore.session import Session

        account, source = self.account, own.get_credentials()
        if source is None:
            raise NeedsPerson(
                "NoCredentialsError", "this process has no credentials with which to take the role"
            )
        extra: dict[str, Any] = {"RoleSessionName": account.session_name, "DurationSeconds": SESSION_SECONDS}
        if account.external_id is not None:
            extra["ExternalId"] = account.external_id
        fetcher = AssumeRoleCredentialFetcher(self._creator(own), source, role_arn, extra)
        credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, METHOD)
        assumed = Session()
        assumed.register_component("credential_provider", CredentialResolver([_given(credentials)]))
        return assumed

    def _creator(self, own: Any) -> Any:
        """STS at our endpoint and in our region: the global one is further away and fails apart from it.

        With our patience: botocore's own is five times a minute.
        """

        def create(service: str, **more: Any) -> Any:
            more.setdefault("endpoint_url", self.account.endpoint_url)
            more.setdefault("config", self._config(once=False))
            return own.client(service, **{"region_name": self.account.region, **more})

        return create


def _given(credentials: Any) -> Any:
    """A credential provider that gives these, and they renew themselves."""
    from botocore.credentials import CredentialProvider

    class Given(CredentialProvider):
        METHOD = CANONICAL_NAME = METHOD

        def load(self) -> Any:
            return credentials

    return Given()
