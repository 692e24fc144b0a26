"""The door: a simulated EC2 served on a loopback port, for as long as the context lasts.

    with WireServer(ec2) as wire:
        boto3.client("ec2", endpoint_url=wire.url, region_name=ec2.region)
        ImdsMetadata(wire.imds_url(instance_id))

Whoever uses the simulator in this process while the server runs does so inside `wire.exclusively()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from threading import Event, RLock, Thread
from typing import Any, Self

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.wire.account import Account
from spotguard.cloud.simulated.wire.aws import Aws
from spotguard.cloud.simulated.wire.control import enforce_iam
from spotguard.cloud.simulated.wire.faults import WireFaults
from spotguard.cloud.simulated.wire.gateway import Gateway
from spotguard.cloud.simulated.wire.network import DEFAULT_CIDR
from spotguard.domain.ids import InstanceId

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.05  # how soon a closing server is noticed


class WireServer:
    """Serves from `__enter__` to `__exit__`. The simulator's clock is the server's: a real one, or a story's."""

    def __init__(self, ec2: SimulatedEc2, *, port: int = 0, cidr: str = DEFAULT_CIDR) -> None:
        """`cidr` is the default VPC's; one within 127.0.0.0/8 makes private addresses that processes can bind."""
        self._ec2 = ec2
        self._lock = RLock()
        self._closing = Event()
        self.faults = WireFaults()
        self.account = Account(ec2, cidr)
        gateway = Gateway(Aws(self.account), self.faults, self._lock, self._closing)
        self._server = _Server(LOOPBACK, port, gateway, _Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self.url = f"http://{LOOPBACK}:{self._server.port}"

    def imds_url(self, instance_id: InstanceId | str) -> str:
        """The base that stands for 169.254.169.254 on this instance."""
        return f"{self.url}/imds/{instance_id}"

    @property
    def control_url(self) -> str:
        return f"{self.url}/control"

    @contextmanager
    def exclusively(self) -> Iterator[SimulatedEc2]:
        """The simulator, with every request waiting meanwhile."""
        with self._lock:
            yield self._ec2

    @contextmanager
    def iam_enforced(self) -> Iterator[None]:
        """Meanwhile only signed calls that a policy allows are answered, by all servers of this process."""
        enforce_iam(on=True)
        try:
            yield
        finally:
            enforce_iam(on=False)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut_all()
        with self._lock:
            self.account.close()


class _Handler(WSGIRequestHandler):
    """Silent, and without Nagle's delay between headers and body."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        pass


class _Server(ThreadedWSGIServer):
    """Knows its connections, so that a closed server answers nobody on an old one."""

    def __init__(self, *args: Any) -> None:
        self._open: set[socket] = set()
        super().__init__(*args)

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):  # the client was faster
                connection.shutdown(SHUT_RDWR)
