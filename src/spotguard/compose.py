"""The one place that puts the parts of the control plane together."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from spotguard.api.app import Application, create_app
from spotguard.api.limiting import RateLimits
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from spotguard.api.wakeups import Wakeups
from spotguard.backtest.apart import Apart
from spotguard.cloud.aws.accounts import AwsClouds
from spotguard.cloud.aws.connection import Account
from spotguard.config import Settings
from spotguard.coordinator.context import Traffics
from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.coordinator.runner import Runner
from spotguard.domain.agents import Autonomy
from spotguard.domain.errors import SpotGuardError
from spotguard.domain.ids import ClientId
from spotguard.host.clock import SharedClock, SystemClock, TimeAsTold
from spotguard.ports.clock import Clock
from spotguard.ports.cloud import Cloud
from spotguard.ports.wakeup import Wakeup
from spotguard.store import database_time
from spotguard.store.accounts import all_accounts
from spotguard.store.database import Database, cause_of
from spotguard.store.launch_orders import Installation, introduce
from spotguard.telemetry import LEVELS, get_logger

GRACE_SECONDS = 3
log = get_logger("server")

Clouds = Callable[[ClientId], Cloud | None]


@dataclass(frozen=True)
class ControlPlane:
    """What a server process runs. `wake` is set when the coordinator should look now."""

    settings: Settings
    app: Application
    coordinator: Coordinator
    wake: threading.Event
    clock: Clock


def compose(
    settings: Settings,
    db: Database,
    clock: Clock,
    clouds: Clouds,
    wakeup: Wakeup,
    *,
    api: ApiSettings | None = None,
    traffics: Traffics = lambda _client: None,
    single_threaded: bool = False,
) -> ControlPlane:
    """API and coordinator on one migrated database. `single_threaded`: only the caller's thread works (simulation)."""
    wake = threading.Event()
    app = create_app(db, clock, wakeup, settings=api, offload=inline if single_threaded else None)
    coordinator = Coordinator(db, clouds, clock, coordinator_settings(settings), wakeup, traffics)
    return ControlPlane(settings, app, coordinator, wake, clock)


def open_control_plane(settings: Settings) -> ControlPlane:
    """The production plane: its own database, migrated, and EC2 for every client that has an account."""
    db = Database.open(settings.database_url)
    db.upgrade()
    clouds = clouds_of(db)
    return plane_on(settings, db, clouds, clouds.traffic)


def plane_on(
    settings: Settings,
    db: Database,
    clouds: Clouds,
    traffics: Traffics,
    *,
    api: ApiSettings | None = None,
    told: CoordinatorSettings | None = None,
) -> ControlPlane:
    """As in production, on this database and these clouds. `api`, `told`: instead of what the settings make of them."""
    wake = threading.Event()
    clock = clock_of(db)
    wakeup = Wakeups(wake.set)
    app = create_app(db, clock, wakeup, settings=api or api_settings(settings), replayer=Apart())
    told = told or coordinator_settings(settings)
    # an API without a coordinator beside it opens moves too: what it tags them with must be known before
    who = Installation(told.installation, told.public_url)
    db.write(lambda tx: introduce(tx, clock.now(), who))
    coordinator = Coordinator(db, clouds, clock, told, wakeup, traffics)
    return ControlPlane(settings, app, coordinator, wake, clock)


def clock_of(db: Database) -> SystemClock:
    """The database's, where several machines may share that; else this machine's."""
    if not db.read(database_time.is_shared):
        return SystemClock()

    def ask() -> datetime | None:
        try:
            return db.read(database_time.told)
        except SQLAlchemyError as error:
            log.warning("the database does not tell the time: its last word goes on", cause=cause_of(error))
            return None

    return SharedClock(TimeAsTold(ask))


def keep_time(plane: ControlPlane, stop: threading.Event) -> None:
    """In a thread of its own, until then."""
    if isinstance(plane.clock, SharedClock):
        threading.Thread(target=plane.clock.run, args=[stop], name="time", daemon=True).start()


def clean_up(settings: Settings, db: Database) -> int:
    """One clean-up, as a coordinator does it between its passes; how much was done."""
    clock = clock_of(db)
    clouds = clouds_of(db)
    coordinator = Coordinator(db, clouds, clock, coordinator_settings(settings), Wakeups(lambda: None))
    return coordinator.clean_up(clock.now())


def clouds_of(db: Database) -> AwsClouds:
    """EC2 of each client's own account."""
    return AwsClouds(lambda: _accounts(db), SystemClock())


def _accounts(db: Database) -> Mapping[ClientId, Account]:
    """An endpoint other than AWS's own is boto3's matter: AWS_ENDPOINT_URL. The external id belongs to the role."""
    return {
        client: Account(told.region, None, told.role_arn, told.external_id if told.role_arn else None)
        for client, told in db.read(all_accounts).items()
    }


def api_settings(settings: Settings) -> ApiSettings:
    usual = ApiSettings()
    beat = msgspec.structs.replace(usual.intervals, heartbeat_seconds=settings.heartbeat_seconds)
    is_https = (settings.public_url or "").startswith("https:")
    return replace(
        usual,
        rate_limits=rate_limits(settings),
        intervals=beat,
        is_public_https=is_https,
        model_folder=settings.model_folder,
        model_stale_days=settings.model_stale_days,
    )


def rate_limits(settings: Settings) -> RateLimits:
    return RateLimits(
        settings.client_requests_per_minute,
        settings.stranger_requests_per_minute,
        settings.failed_credentials_per_minute,
    )


def demo_app(db: Database, clock: Clock, wakeup: Wakeup, notice: str, clock_rate: float) -> Application:
    """The API for people beside a simulation: threads of its own, new agents in `auto` (ruling B17).

    `clock_rate`: how many times as fast the simulation's clock goes.
    """
    told = replace(DEMO_API, notice=notice, clock_rate=clock_rate)
    return create_app(db, clock, wakeup, settings=told, replayer=Apart())


# No limits: the minutes are the virtual clock's, and it stands still at the end.
DEMO_API = ApiSettings(new_agent_autonomy=Autonomy.AUTO, rate_limits=None)


def coordinator_settings(settings: Settings) -> CoordinatorSettings:
    return CoordinatorSettings(
        installation=settings.installation,
        public_url=settings.public_url or f"http://{settings.host}:{settings.port}",
        name=f"{socket.gethostname()}:{os.getpid()}",
        pass_seconds=settings.pass_seconds,
        model_folder=settings.model_folder,
        model_stale_days=settings.model_stale_days,
    )


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen yet; `SpotGuardError` says why there is none."""
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        in_use = "it is in use: choose another with --port"
        why = in_use if error.errno == errno.EADDRINUSE else error.strerror
        raise SpotGuardError(f"cannot listen on {host}:{port}: {why}") from error
    return listener


@contextmanager
def listening(app: Application, listener: socket.socket, log_level: str) -> Iterator[str]:
    """The application on a bound socket, in a thread of its own; yields `host:port`.

    At the end requests under way are answered; long polls and event streams are ended first.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=log_level,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # whether it started and ended is ours to tell
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, LEVELS[log_level]))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="api", daemon=True)
    thread.start()
    tick = threading.Event()
    while not server.started:
        if not thread.is_alive():
            raise SpotGuardError("the server ended as it started: its log says why")
        tick.wait(0.05)
    host, port = listener.getsockname()[:2]
    try:
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        app.end()
        server.should_exit = True
        thread.join(GRACE_SECONDS + 5)


def serve_until(
    plane: ControlPlane, listener: socket.socket, stop: threading.Event, *, with_coordinator: bool
) -> None:
    """Until told to stop: requests under way are answered, the pass under way is finished."""
    runner = Runner(plane.coordinator, plane.wake)
    worker = threading.Thread(target=runner.run, name="coordinator")
    ears = threading.Thread(target=plane.app.hearing.run, args=[stop], name="hearing", daemon=True)
    ears.start()
    keep_time(plane, stop)
    settings = plane.settings
    with listening(plane.app, listener, settings.log_level) as address:
        database = plane.coordinator.ctx.db.told_url
        log.info("listening", address=address, coordinator=with_coordinator, database=database)
        if settings.public_url is None:
            log.warning(
                "public_url is not set: launched instances are told an address that only this machine has",
                public_url=plane.coordinator.ctx.settings.public_url,
                setting="SPOTGUARD_PUBLIC_URL",
            )
        if with_coordinator:
            worker.start()
        stop.wait()
    runner.stop()
    if with_coordinator:
        worker.join()
    log.info("ended")


def coordinator_runner(plane: ControlPlane) -> Runner:
    """One more coordinator, for a process of its own."""
    return Runner(plane.coordinator, plane.wake)
