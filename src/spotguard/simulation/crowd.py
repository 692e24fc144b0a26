"""People, and whoever speaks to the API with an agent's credential: clicks of every kind, and garbage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from spotguard.domain.agents import Autonomy
from spotguard.domain.decisions import Verdict
from spotguard.domain.errors import ServerAway
from spotguard.domain.ids import InstanceId
from spotguard.ports.server import Reply
from spotguard.simulation import lookups
from spotguard.simulation.world import World

MOST_CLICKS = 12
_PRICES: tuple[Any, ...] = (
    -0.01,
    0,
    1e308,
    "NaN",
    "Infinity",
    None,
    "0.0000000001",
    99_999,
    [],
    {"a": 1},
    "x",
)
_TIMES = ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-05", "yesterday", "", None, 7)


def _ask(world: World, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply | None:
    """What a person's request is answered; a 5xx is a surprise."""
    try:
        return world.call(method, path, body)
    except ServerAway as error:
        world.surprises.append(f"{method} {path}: {error}")
        return None


def _done(reply: Reply | None) -> bool:
    return reply is not None and reply.status < 300  # noqa: PLR2004 - any 2xx


def clicks(world: World, name: str, dice: Random) -> bool:
    """Somebody presses everything."""
    for _ in range(dice.randint(3, MOST_CLICKS)):
        dice.choice(_BUTTONS)(world, name, dice)
    return True


def toggles(world: World, name: str, dice: Random) -> bool:
    """The two modes, back and forth, within one moment."""
    for _ in range(dice.randint(1, 4)):
        wish = dice.choice(["manualReplicaEnabled", "autoSwitchEnabled"])
        configure(world, name, {wish: dice.random() < 0.7})  # noqa: PLR2004 - more on than off
    return True


def configure(world: World, name: str, wish: Mapping[str, Any]) -> bool:
    agent = lookups.agent(world, name)
    return _done(_ask(world, "POST", f"/api/client/agents/{agent.id}/config", wish))


def settings(world: World, name: str, dice: Random) -> bool:
    key, values = dice.choice(_SETTINGS)
    return configure(world, name, {key: dice.choice(values)})


def forced_move(world: World, name: str, dice: Random) -> bool:
    """To any pool of the panel, allowed or not, or to on-demand; sometimes by a named kind of move."""
    agent = lookups.agent(world, name)
    panel = _ask(world, "GET", f"/api/client/instances/{agent.instance_id}/pricing")
    if panel is None or not panel.body.get("pools"):
        return False
    wish: dict[str, Any] = {"target": "pool", "pool_id": dice.choice(panel.body["pools"])["id"]}
    if dice.random() < 0.2:  # noqa: PLR2004 - one of five
        wish = {"target": "ondemand"}
    kind = dice.choice([None, None, "volume", "image", "synced"])
    if kind is not None:
        wish["kind"] = kind
    return _done(_ask(world, "POST", f"/api/client/instances/{agent.instance_id}/force-switch", wish))


def promotion(world: World, name: str, dice: Random) -> bool:
    agent = lookups.agent(world, name)
    rows = lookups.replicas(world, agent.id)
    if not rows:
        return False
    row = rows[-1] if dice.random() < 0.8 else dice.choice(rows)  # noqa: PLR2004 - mostly the newest
    return _done(_ask(world, "POST", f"/api/agents/{agent.id}/replicas/{row.id}/promote", {}))


def replica_ended(world: World, name: str, dice: Random) -> bool:
    agent = lookups.agent(world, name)
    rows = lookups.replicas(world, agent.id)
    return bool(rows) and _done(
        _ask(world, "DELETE", f"/api/client/agents/{agent.id}/replicas/{dice.choice(rows).id}")
    )


def replica_wished(world: World, name: str, _dice: Random) -> bool:
    agent = lookups.agent(world, name)
    return _done(_ask(world, "POST", f"/api/client/agents/{agent.id}/replicas", {}))


def drill(world: World, name: str, dice: Random) -> bool:
    """A rehearsal of either kind, or only its preview."""
    wish = {"kind": dice.choice(["failover", "restore"]), "dryRun": dice.random() < 0.2}  # noqa: PLR2004 - one of five
    return _done(_ask(world, "POST", f"/api/client/agents/{lookups.agent(world, name).id}/drill", wish))


def asks_first(world: World, name: str) -> bool:
    """Its user wants to be asked before it moves."""
    return configure(world, name, {"autonomy": Autonomy.APPROVE.value, "autoSwitchEnabled": True})


def asks_no_more(world: World, name: str) -> None:
    configure(world, name, {"autonomy": Autonomy.AUTO.value})


def answers(world: World, name: str, dice: Random) -> None:
    """Approves or rejects what waits for a person: mostly the newest, now and then what has long passed."""
    found = _ask(world, "GET", f"/api/client/agents/{lookups.agent(world, name).id}/decisions")
    listed = found.body["items"] if found else []
    waiting = [one for one in listed if one["verdict"] == Verdict.AWAIT_APPROVAL]
    if not waiting:
        return
    which = waiting[0] if dice.random() < 0.8 else dice.choice(waiting)  # noqa: PLR2004 - mostly
    said, why = ("approve", {}) if dice.random() < 0.7 else ("reject", {"reason": "simulated"})  # noqa: PLR2004 - mostly
    _ask(world, "POST", f"/api/client/decisions/{which['id']}/{said}", why)


def pays_for_probes(world: World, _name: str, dice: Random) -> bool:
    return _done(_ask(world, "PUT", "/api/client/probes", {"usdPerDay": dice.choice(["0", "0.5", "5"])}))


def one_zone(world: World, name: str, _dice: Random) -> bool:
    """A standby, and whatever else comes, beside the one that serves: its owner has no subnet elsewhere."""
    az = lookups.agent(world, name).az
    return configure(world, name, {"allowedAzs": [az], "manualReplicaEnabled": True})


def failover_drill(world: World, name: str, _dice: Random) -> bool:
    """A real failover on purpose."""
    return _drilled(world, name, "failover")


def restore_drill(world: World, name: str, _dice: Random) -> bool:
    """Of the newest restore point; where none are made they are from now on, every hour."""
    if lookups.agent(world, name).restore_point_hours is None:
        shut_in = {"quarantineGroup": "sg-0123456789abcdef0"}  # of the schedule's drills, should one be set
        configure(world, name, {"restorePointHours": 1, "restoreDrillDays": 0, **shut_in})
    return _drilled(world, name, "restore")


def _drilled(world: World, name: str, kind: str) -> bool:
    path = f"/api/client/agents/{lookups.agent(world, name).id}/drill"
    return _done(_ask(world, "POST", path, {"kind": kind, "dryRun": False}))


def kill_switch(world: World, name: str, dice: Random) -> bool:
    """Of the whole client or of one agent. `release` turns all of them off again."""
    scope = dice.choice(["client", lookups.agent(world, name).id])
    wish = {"level": dice.choice(["voluntary", "voluntary", "all"]), "scope": scope, "reason": "simulated"}
    return _turned(world, wish)


def _turned(world: World, wish: dict[str, Any]) -> bool:
    done = _done(_ask(world, "PUT", "/api/client/kill-switch", wish))
    if done:
        world.stops.append((world.clock.now(), wish["scope"], wish["level"]))
    return done


def release(world: World) -> None:
    """Every kill switch off, everybody enabled."""
    scopes = ["client", *(lookups.agent(world, name).id for name in world.registers)]
    for scope in scopes:
        wish = {"level": "none", "scope": scope, "reason": "simulated"}
        _turned(world, wish)
    for name in world.registers:
        configure(world, name, {"enabled": True})


def poisoned_prices(world: World, name: str, dice: Random) -> bool:
    """A report of the serving agent whose prices nobody should believe."""
    agent = lookups.agent(world, name)
    pools = [pool.id for pool in world.ec2.pools()]
    items = [{"id": dice.choice([*pools, "x", "", None]), "price": dice.choice(_PRICES)} for _ in range(9)]
    body = {"pools": items, "on_demand_price": dice.choice(_PRICES), "observed_at": dice.choice(_TIMES)}
    return _as_agent(world, agent.instance_id, "pricing-report", body)


def garbage_reports(world: World, name: str, dice: Random) -> bool:
    """Reports that contradict what is: of moves that are not, for epochs never granted, with times of other ages."""
    agent = lookups.agent(world, name)
    moves = [row.id for row in lookups.moves(world)] or ["no-such-switch"]
    did = False
    for _ in range(dice.randint(1, 5)):
        call, body = dice.choice(_GARBAGE)(agent, dice, dice.choice(moves))
        did |= _as_agent(world, agent.instance_id, call, body)
    return did


def _as_agent(world: World, instance_id: str | None, call: str, body: Mapping[str, Any]) -> bool:
    """With the credential of the agent on this instance, behind its back."""
    process = world.processes.get(InstanceId(instance_id or ""))
    enrolment = process.agent.desk.enrolment if process is not None else None
    if enrolment is None or world.link.away:
        return False
    path = f"/api/agents/{enrolment.agent_id}/{call}"
    try:
        world.link.call("POST", path, token=enrolment.agent_token, body=body)
    except ServerAway as error:
        world.surprises.append(f"POST {path}: {error}")
    return True


def _heartbeat(agent: lookups.Row, dice: Random, _switch: str) -> tuple[str, dict[str, Any]]:
    return "heartbeat", {
        "status": dice.choice(["online", "offline", "deleted", "x"]),
        "instance_id": dice.choice([agent.instance_id, "i-00000000000000000"]),
        "mode": dice.choice(["spot", "ondemand", "x"]),
        "epoch": dice.choice([agent.epoch, agent.epoch + 1, 0, 99, -1]),
    }


def _sync(agent: lookups.Row, dice: Random, _switch: str) -> tuple[str, dict[str, Any]]:
    replica = agent.current_replica_id or "no-such-replica"
    return f"replicas/{replica}/sync-status", {
        "sync_status": "synced",
        "state_transfer_progress": dice.choice([0, 100, 101, -1, "NaN"]),
        "sync_latency_ms": dice.choice([0, -1, 2**40]),
        "status": "ready",
    }


def _signal(_agent: lookups.Row, dice: Random, _switch: str) -> tuple[str, dict[str, Any]]:
    return "interruption-signal", {
        "signal_type": dice.choice(["x", "", None]),
        "signal_time": dice.choice(_TIMES),
    }


def _result(_agent: lookups.Row, dice: Random, switch: str) -> tuple[str, dict[str, Any]]:
    return f"commands/{switch}/result", {"status": dice.choice(["completed", "failed", "x"])}


def _report(agent: lookups.Row, dice: Random, switch: str) -> tuple[str, dict[str, Any]]:
    """Times of another age, or of steps that are not this agent's: never a release of what it holds."""
    name = dice.choice(["instance_ready_at", "old_terminated_at", "granted_at", "x"])
    return "switch-report", {
        "command_id": "no-such-command",
        "switch_id": switch,
        "old_instance": {"instance_id": agent.instance_id},
        "timing": {name: dice.choice(_TIMES)},
    }


_GARBAGE: tuple[Callable[[lookups.Row, Random, str], tuple[str, dict[str, Any]]], ...] = (
    _heartbeat,
    _sync,
    _signal,
    _result,
    _report,
)
_SETTINGS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("enabled", (True, False)),
    ("autonomy", ("observe", "recommend", "approve", "auto")),
    ("autoTerminateEnabled", (True, False)),
    ("terminateWaitSeconds", (0, 60, 1800, -1, 10**12)),
    ("minSavingsPercent", (0, 5, 50, "NaN")),
    ("maxSwitchesPerDay", (0, 3, 100)),
    ("minPoolHours", (0, 2)),
    ("allowedInstanceTypes", ([], ["m5.large", "t3.medium"])),
    ("maxHourlyUsd", (None, "0.01", "10")),
    ("restorePointHours", (1, 1, None)),
    ("minuteValueUsd", ("0.01", "5")),
    ("restoreDrillDays", (0, 1, 7)),
)
_BUTTONS = (forced_move, drill, promotion, replica_ended, replica_wished, toggles, settings, kill_switch)
