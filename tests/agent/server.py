"""A control plane of one page: keeps the promises of the agent API that agents rely on, and remembers what it heard."""

from dataclasses import dataclass, field
from datetime import timedelta

from spotguard.domain.clock import parse_time, rfc3339
from spotguard.domain.errors import ServerAway
from spotguard.domain.switches import STEP_OF_TIMING, MoveKind, Step
from spotguard.ports.server import Reply

AGENT = "agent-1"
CLIENT_TOKEN = "client"
LEASE = timedelta(seconds=60)


@dataclass
class Move:
    """A row of `switches` with its steps."""

    kind: MoveKind
    command_id: str
    epoch: int
    status: str = "preparing"
    recorded: dict[Step, str] = field(default_factory=dict)
    new: str | None = None


@dataclass
class Order:
    """A row of `commands`."""

    id: str
    instance_id: str
    command_type: str
    payload: dict
    expires_at: str
    epoch: int | None = None
    status: str = "pending"
    lease_until: object = None
    attempt: int = 0
    result: dict | None = None


class FakeServer:
    """Implements `ports.server.ServerLink`. Every call is kept in `heard` as (time, what, instance, body)."""

    def __init__(self, clock):
        self.clock = clock
        self.clock_ahead = timedelta(0)
        self.away = False
        self.heard = []
        self.tokens: dict[str, str] = {}
        self.instances: dict[str, dict] = {}
        self.enrolments: dict[str, str] = {}
        self.moves: dict[str, Move] = {}
        self.orders: dict[str, Order] = {}
        self.standbys: list[dict] = []
        self.config_version = 1
        self.enabled, self.auto_terminate = True, True
        self.epoch, self.holder, self.released = 0, None, False
        self.refuse: dict[str, Reply | ServerAway] = {}
        self.passive_epoch: int | None = None  # what it tells of the newest grant to who does not hold it
        self.refuse_release: Reply | None = None  # a report that lets go
        self.lose_answers = 0
        self.signal_action = "monitor"
        self.intervals = {
            "heartbeat_seconds": 60,
            "pricing_seconds": 60,
            "signal_poll_seconds": 1,
            "command_wait_seconds": 0,
        }

    # what a story does

    def now(self):
        return self.clock.now() + self.clock_ahead

    def order(self, instance_id, command_type, payload, *, epoch=None, seconds=3600):
        number = len(self.orders) + 1
        expires = rfc3339(self.now() + timedelta(seconds=seconds))
        order = Order(f"command-{number}", instance_id, command_type, payload, expires, epoch)
        self.orders[order.id] = order
        return order

    def open_move(self, kind, *, launch=None, target=None, close_by=None, epoch=None):
        switch_id = f"switch-{len(self.moves) + 1}"
        if launch is not None:
            launch = launch | {"user_data": self.user_data(f"enrol-{switch_id}"), "token_seed": switch_id}
        held = self.epoch if epoch is None else epoch
        payload = {
            "switch_id": switch_id,
            "kind": kind.value,
            "epoch": held,
            "close_by": None if close_by is None else rfc3339(close_by),
            "target": target,
            "launch": launch,
        }
        order = self.order(self.holder, "switch", payload, epoch=held)
        move = Move(kind, order.id, held, new=target["instance_id"] if target else None)
        move.recorded[Step.DECIDED] = rfc3339(self.clock.now())
        if target:
            move.recorded |= {Step.LAUNCHED: "before", Step.ENROLLED: "before"}
        self.moves[switch_id] = move
        self.enrolments[f"enrol-{switch_id}"] = switch_id
        return switch_id

    def user_data(self, token):
        return f'{{"spotguard": {{"logical_agent_id": "web", "enrolment_token": "{token}"}}}}'

    def reports(self, what):
        return [body for _, kind, _, body in self.heard if kind == what]

    def steps(self, switch_id):
        return list(self.moves[switch_id].recorded)

    # the API

    def call(self, method, path, *, token, body=None, timeout_seconds=10):
        if self.away:
            raise ServerAway("the network is cut")
        path, _, _ = path.partition("?")
        parts = path.removeprefix("/api/agents/").split("/")
        if parts == ["register"]:
            return self.register(token, body)
        instance = self.tokens.get(token)
        if instance is None:
            return Reply(401, {"detail": "no such token"})
        what = "result" if parts[-1] == "result" else parts[-1]
        if what in self.refuse:
            refusal = self.refuse[what]
            if isinstance(refusal, ServerAway):
                raise refusal
            return refusal
        if self.refuse_release is not None and "released_at" in ((body or {}).get("timing") or {}):
            return self.refuse_release
        if body is not None:
            self.heard.append((self.clock.now(), what, instance, body))
        name = what.replace("-", "_")
        arguments = (instance, body, parts[2]) if len(parts) > 2 else (instance, body)
        reply = Reply(200, getattr(self, name)(*arguments))
        if self.lose_answers and body is not None and what != "heartbeat":
            self.lose_answers -= 1
            raise ServerAway("the answer was lost")
        return reply

    def register(self, token, body):
        switch = self.enrolments.get(token)
        if token != CLIENT_TOKEN and switch is None:
            return Reply(403, {"detail": "no such enrolment"})
        instance = body["instance_id"]
        former = self.instances.get(switch or "", {}).get("instance_id")
        if former not in (None, instance):
            return Reply(409, {"detail": "this enrolment token was used by another instance"})
        if switch is not None:
            self.instances[switch] = body
        self.instances[instance] = body
        agent_token = f"token-{len(self.tokens)}"
        self.tokens = {t: i for t, i in self.tokens.items() if i != instance} | {agent_token: instance}
        if self.epoch == 0:
            self.epoch, self.holder = 1, instance
        if switch in self.moves:
            move = self.moves[switch]
            move.new = instance
            move.recorded.setdefault(Step.LAUNCHED, rfc3339(self.clock.now()))
            move.recorded.setdefault(Step.ENROLLED, rfc3339(self.clock.now()))
        role, epoch = self.role_of(instance)
        return Reply(
            201,
            {
                "agent_id": AGENT,
                "agent_token": agent_token,
                "role": role,
                "epoch": epoch,
                "config": self.config(instance, None),
                "intervals": self.intervals,
            },
        )

    def role_of(self, instance):
        if instance == self.holder and not self.released:
            return "primary", self.epoch
        return "passive", self.passive_epoch

    def heartbeat(self, instance, body):
        role, epoch = self.role_of(instance)
        waiting = [o for o in self.orders.values() if o.instance_id == instance and o.status == "pending"]
        return {
            "config_version": self.config_version,
            "commands_pending": len(waiting),
            "role": role,
            "epoch": epoch,
            "server_time": rfc3339(self.now()),
        }

    def config(self, instance, body):
        return {
            "config_version": self.config_version,
            "enabled": self.enabled,
            "auto_terminate_enabled": self.auto_terminate,
            "standbys": list(self.standbys),
        }

    def pending_commands(self, instance, body):
        now, given = self.clock.now(), []
        for order in self.orders.values():
            due = order.status == "pending" or (order.status == "leased" and order.lease_until <= now)
            if order.instance_id == instance and due:
                order.status, order.lease_until = "leased", now + LEASE
                order.attempt += 1
                given.append(
                    {
                        "id": order.id,
                        "command_type": order.command_type,
                        "payload": order.payload,
                        "epoch": order.epoch,
                        "attempt": order.attempt,
                        "priority": 50,
                        "expires_at": order.expires_at,
                    }
                )
        return {"commands": given, "config_version": self.config_version, "server_time": rfc3339(self.now())}

    def result(self, instance, body, command_id):
        order = self.orders[command_id]
        if order.result is None:
            order.status, order.result = body["status"], body
        return {"id": command_id, "status": order.status}

    def switch_report(self, instance, body):
        move = self.moves[body["switch_id"]]
        for name, at in body.get("timing", {}).items():
            parse_time(at)
            move.recorded.setdefault(STEP_OF_TIMING[name], at)
        if "new_instance" in body:
            move.new = body["new_instance"]["instance_id"]
        if Step.RELEASED in move.recorded and move.status == "preparing" and move.epoch == self.epoch:
            self.released = True
            self.grant(body["switch_id"], move)
        return {
            "switch_id": body["switch_id"],
            "recorded": [step.value for step in move.recorded],
            "target": self.target(move),
            "status": move.status,
        }

    def target(self, move):
        body = self.instances.get(move.new or "")
        return body and {"instance_id": move.new, "address": body["private_ip"]}

    def grant(self, switch_id, move):
        if self.target(move) is None:
            return
        self.epoch, self.holder, self.released = self.epoch + 1, move.new, False
        move.status = "committed"
        move.recorded[Step.GRANTED] = rfc3339(self.clock.now())
        self.order(move.new, "promote", {"switch_id": switch_id, "epoch": self.epoch}, epoch=self.epoch)

    def interruption_signal(self, instance, body):
        return {"event_id": "e", "action": self.signal_action, "replica_id": None, "because": "story"}

    def pricing_report(self, instance, body):
        return {"accepted": len(body["pools"]), "rejected": []}

    def sync_status(self, instance, body, replica_id):
        return {"replica_id": replica_id}
