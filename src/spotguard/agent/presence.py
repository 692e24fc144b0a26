"""Duty `presence`: enrol, then tell the server every minute that and how this instance lives, and hear its role.

What the answer says of role and epoch is carried out at once: the gate opens for an epoch that is ours, and closes
when the server has granted a newer one to another instance. A heartbeat is never kept: yesterday's presence tells
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from spotguard.agent import server_time
from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import OK, Desk, NotEnrolled, said_of
from spotguard.agent.enrolment import (
    credentials,
    enrolment_of,
    pool_id_of,
    registration,
    role_of,
)
from spotguard.agent.tickets import Tickets
from spotguard.domain.errors import GateFailed, InvalidInput, ServerAway
from spotguard.domain.instances import GateState, Role
from spotguard.telemetry import get_logger

HURRIED_SECONDS = (
    10.0  # after the gate has opened: the server counts healthy beats before it ends the old one
)
HURRIED_BEATS = 5
GATE_AGAIN_SECONDS = 5.0
WORTH_TELLING = timedelta(seconds=30)

log = get_logger("agent")


class Presence:
    """Registration and heartbeat."""

    def __init__(self, desk: Desk, tickets: Tickets) -> None:
        self._desk, self._tickets = desk, tickets
        self._backoff = Backoff()
        self._hurried = 0
        self._contradicted: int | None = None  # our epoch, when the last beat's answer did not know it
        self._refused: str | None = None  # logged once

    def run(self, now: datetime) -> datetime | None:
        desk = self._desk
        serves = self._serve_on()
        try:
            if not desk.is_enrolled:
                self.enrol()
            answer = self._beat()
        except (ServerAway, NotEnrolled, InvalidInput) as error:
            return self._later(now, error)
        self._backoff.worked()
        self._heard()
        if self._is_over(answer):
            self.take_role(
                answer
            )  # before anything is written: a disk that takes nothing must not hold it up
        if answer.get("config_version") != desk.config_version:
            self._fetch_config(answer.get("config_version"))
        if answer.get("commands_pending"):
            desk.bells.ring("commands")
        if self._tickets.heed(answer):
            self.hurry()
        obeyed = self.take_role(answer) and serves
        return now + timedelta(seconds=self._next_in(obeyed))

    def _is_over(self, answer: Mapping[str, Any]) -> bool:
        """Another holds a newer epoch than the one that is held here."""
        (role, epoch), held = role_of(answer), self._desk.primacy.held
        return role not in (None, Role.PRIMARY) and held is not None and epoch is not None and epoch > held

    def _serve_on(self) -> bool:
        """Whoever holds an epoch serves, and nobody else, whether or not the server answers; False: the gate is stuck.

        A workload that something else has started (a socket, a timer, a person) is stopped again, enrolled or not.
        """
        primacy = self._desk.primacy
        try:
            primacy.end_what_is_over()
            if primacy.ensure_open():
                log.warning("workload started", instance=self._desk.instance_id, epoch=primacy.held)
                self.hurry()
            primacy.stays_closed()
            if primacy.held is None and self._desk.may_close:
                primacy.ensure_closed()
        except GateFailed as error:
            self._complain(error)
            return False
        self._desk.gate_stuck = None
        return True

    def _complain(self, error: GateFailed) -> None:
        self._desk.gate_stuck = said_of(error)
        log.error("gate", instance=self._desk.instance_id, because=str(error))

    def enrol(self) -> None:
        """Make this instance known; `NotEnrolled` when the server refuses every credential."""
        desk = self._desk
        name = desk.note.logical_agent_id if desk.note else desk.settings.logical_agent_id
        body = registration(
            desk.me,
            name or desk.settings.logical_agent_id,
            desk.settings.version,
            can_sync=desk.ports.sync.can_sync(),
            has_traffic_script=desk.settings.has_traffic_script,
            state_on_root=desk.state_on_root(),
        )
        refusal = (
            "there is no credential to enrol with: put the client's token into the client_token_file, and start the "
            "agent again"
        )
        for credential in credentials(desk.note, desk.settings.client_token):
            reply = desk.ports.link.call("POST", "/api/agents/register", token=credential, body=body)
            if reply.status in OK:
                self._enrolled(reply.body)
                return
            refusal = f"registration refused with {reply.status}: {reply.body.get('detail', '')}"
        raise NotEnrolled(refusal)

    def _enrolled(self, answer: Mapping[str, Any]) -> None:
        desk = self._desk
        former = desk.enrolment
        untouched = former.untouched if former else desk.found_running
        desk.keep_enrolment(enrolment_of(desk.me, answer, desk.note, untouched=untouched))
        config = answer.get("config")
        if isinstance(config, Mapping):
            desk.keep_config(config.get("config_version"), config)
        self.take_role(answer)
        log.info("enrolled", instance=desk.instance_id, role=answer.get("role"), epoch=answer.get("epoch"))
        for duty in ("prices", "commands", "outbox", "sync", "moves", "tickets"):
            desk.bells.ring(duty)

    def _beat(self) -> Mapping[str, Any]:
        desk = self._desk
        # one that ran again is not taken for one that has had its last pass
        gate = GateState.OPEN if desk.primacy.reopened else desk.primacy.gate_state()
        # what waits to be told of the move comes first
        released = desk.primacy.released if desk.primacy.released and not len(desk.outbox) else None
        body = {
            "status": "online",
            "instance_id": desk.instance_id,
            "mode": desk.me.mode.value,
            "pool_id": pool_id_of(desk.me),
            "epoch": desk.primacy.held,
            "gate": gate.value,
            "workload_healthy": gate is GateState.OPEN and desk.primacy.healthy(),
            "released": released,
            "can_sync": desk.ports.sync.can_sync(),
            "has_traffic_script": desk.settings.has_traffic_script,
            "state_on_root": desk.state_on_root(),
            "state_volumes": desk.state_volumes(),
            "traffic_stuck": desk.traffic_stuck,
            "workload_stuck": desk.gate_stuck or desk.move_stuck or desk.state_stuck,
            **self._tickets.said(),
        }
        asked = desk.ports.clock.now()
        reply = desk.call("POST", "heartbeat", body)
        if reply.status not in OK:
            raise NotEnrolled(f"heartbeat refused with {reply.status}: {reply.body.get('detail', '')}")
        self._compare_clocks(asked, reply.body)
        desk.heard_at = desk.ports.clock.now()
        desk.released_heard = max(desk.released_heard, released or 0)
        return reply.body

    def _compare_clocks(self, asked: datetime, answer: Mapping[str, Any]) -> None:
        desk, told = self._desk, server_time.told_in(answer)
        if told is None:
            return
        ahead = server_time.ahead(asked, told, desk.ports.clock.now())
        if abs(ahead - (desk.ahead or server_time.NONE)) > WORTH_TELLING:
            log.warning("our clock differs from the server's", ahead_seconds=ahead.total_seconds())
        desk.compare_clocks(ahead)

    def take_role(self, answer: Mapping[str, Any]) -> bool:
        """Carry out what the server says of us; False when the gate did not do as it should."""
        desk = self._desk
        role, epoch = role_of(answer)
        try:
            if role is Role.PRIMARY and desk.rehearses:
                log.error("a clone in quarantine never serves", instance=desk.instance_id, epoch=epoch)
            elif role is Role.PRIMARY and epoch is not None:
                self._contradicted = None
                known = desk.primacy.confirmed
                if desk.primacy.told(epoch):
                    self._touch()
                    if known != epoch:
                        desk.bells.ring("traffic")
                    if desk.primacy.ensure_open():
                        self.hurry()
            elif role is not None:
                return self._not_primary(epoch)
        except GateFailed as error:
            self._complain(error)
            return False
        return True

    def _not_primary(self, epoch: int | None) -> bool:
        """Another holds the epoch, or none is granted: who holds none serves nothing.

        An answer that crossed with our own grant on the wire says the same, hence only a second one in a row
        closes a gate that an epoch opened, unless it names a newer epoch. The very epoch that is held here was
        granted once, and to another: this one has it from a copied disk.
        """
        desk = self._desk
        held = desk.primacy.held
        if held is not None and epoch in (None, held):
            if self._contradicted != held:
                self._contradicted = held
                return False
            epoch = held
        if epoch is not None and desk.primacy.fence(epoch):
            log.warning("fenced", instance=desk.instance_id, epoch=held)
        if desk.may_close:
            desk.primacy.ensure_closed()
        return True

    def hurry(self) -> None:
        """The gate has opened: beat faster for a while."""
        self._hurried = HURRIED_BEATS
        for duty in ("presence", "traffic"):
            self._desk.bells.ring(duty)

    def _touch(self) -> None:
        """From the first epoch on the workload is ours to open and to close."""
        enrolment = self._desk.enrolment
        if enrolment is not None and enrolment.untouched:
            self._desk.keep_enrolment(replace(enrolment, untouched=False))

    def _fetch_config(self, version: Any) -> None:
        try:
            reply = self._desk.call("GET", "config")
        except (ServerAway, NotEnrolled):
            return  # asked again at the next beat: the version still differs
        if reply.status in OK:
            self._desk.keep_config(reply.body.get("config_version", version), reply.body)

    def _next_in(self, gate_obeyed: bool) -> float:  # noqa: FBT001 - private, and named at its only call
        usual = self._desk.intervals.heartbeat_seconds
        if not gate_obeyed:
            return min(GATE_AGAIN_SECONDS, usual)
        if self._hurried:
            self._hurried -= 1
            return min(HURRIED_SECONDS, usual)
        return usual

    def _heard(self) -> None:
        if self._refused is not None:
            log.info("the server answers again", instance=self._desk.instance_id)
        self._refused = None

    def _later(self, now: datetime, error: Exception) -> datetime:
        if str(error) != self._refused:
            self._refused = str(error)
            log.warning("server", because=self._refused)
        return self._backoff.failed(now)
