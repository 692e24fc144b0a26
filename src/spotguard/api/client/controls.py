"""`/health`, `/kill-switch` and `/limits`: is it well, and what is stopped."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AtDesk, Desk, router
from spotguard.api.problems import invalid
from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId
from spotguard.engine import rules_v1
from spotguard.planning.presence import still_listening
from spotguard.store import agents, configuration, events, judges, kill, leases, trials, views_health
from spotguard.store.judges import Judge
from spotguard.wire.client_controls import (
    AgentBehind,
    AgentUnserved,
    CoordinatorState,
    Health,
    InvariantReport,
    KillChange,
    KillState,
    KillSwitches,
    Limits,
    LimitsChange,
    QueueState,
)
from spotguard.wire.client_models import JudgeState, ModelState, TrialState

routes = router()
_NOTES = {
    KillLevel.NONE: "nothing is stopped",
    KillLevel.VOLUNTARY: "voluntary moves and new standbys are stopped; emergencies proceed",
    KillLevel.ALL: "everything is stopped, emergencies too: an interruption now ends the workload",
}


@routes.get("/health")
async def health(desk: AtDesk) -> Health:
    listening_until = still_listening(desk.listened_since, desk.now)

    def work(tx: Connection) -> Health:
        waiting = views_health.queue(tx, desk.client_id)
        broken = views_health.broken_invariants(tx, desk.now, desk.client_id)
        silent = views_health.agents_behind(
            tx, desk.now, desk.client_id, is_listening=listening_until is not None
        )
        unserved = views_health.agents_unserved(tx, desk.client_id)
        return Health(
            invariants=InvariantReport(
                checked=views_health.checked_invariants(),
                broken=broken[: views_health.TOLD],
                broken_count=len(broken),
            ),
            coordinators=[
                CoordinatorState(name=row.name, alive=row.until > desk.now, until=row.until)
                for row in leases.of_coordinators(tx)
            ],
            agents_behind=[
                AgentBehind(
                    id=row.id, logical_agent_id=row.logical_agent_id, last_heartbeat_at=row.last_heartbeat_at
                )
                for row in silent.first
            ],
            agents_behind_count=silent.count,
            agents_unserved=[AgentUnserved.model_validate(one) for one in unserved.first],
            agents_unserved_count=unserved.count,
            listening_until=listening_until,
            queue=QueueState(
                pending=waiting.pending, leased=waiting.leased, oldest_pending_at=waiting.oldest_pending_at
            ),
            model=_model(tx, desk),
            kill_switch=kill.level_for(tx, desk.client_id).name.lower(),
            kill_switches=[
                KillState.model_validate(row)
                for row in kill.list_switches(tx, desk.client_id)
                if row.level != KillLevel.NONE.name.lower()
            ],
        )

    return await desk.read(work)


def _model(tx: Connection, desk: Desk) -> ModelState:
    """Scores are of this tenant's own pools: nobody else's outcomes are told here."""
    bench = judges.sitting(tx, desk.now, desk.api.shelf)
    return ModelState(
        policy=rules_v1.NAME,
        risk=bench.present.name if bench.present.flaw is None else None,
        active=None if bench.present.model_id is None else JudgeState(**_judge(bench.present)),
        shadow=None if bench.shadow is None else _trial(tx, desk, bench.present, bench.shadow),
    )


def _judge(judge: Judge) -> dict[str, Any]:
    told = ("name", "registered_at", "since", "flaw")
    return {name: getattr(judge, name) for name in told}


def _trial(tx: Connection, desk: Desk, present: Judge, shadow: Judge) -> TrialState:
    judged = trials.judged(tx, str(shadow.model_id), present.name, desk.client_id)
    chosen = trials.choices(tx, str(shadow.model_id), desk.client_id)
    return TrialState(
        **_judge(shadow), **vars(judged), choices=chosen.stored, choices_differing=chosen.differing
    )


def _switches(tx: Connection, desk: Desk, scope: str) -> KillSwitches:
    agent = None if scope == kill.CLIENT else agents.of_client(tx, desk.client_id, AgentId(scope))
    level = kill.level_for(tx, desk.client_id, None if agent is None else agent.id)
    rows: list[Any] = list(kill.list_switches(tx, desk.client_id))
    return KillSwitches(
        scope=scope,
        level=level.name.lower(),
        note=_note(level, scope, None if agent is None else agent.logical_agent_id, rows),
        switches=[KillState.model_validate(row) for row in rows],
    )


def _note(level: KillLevel, scope: str, name: str | None, rows: list[Any]) -> str:
    """What the level stops and where; and whose switch it is when it is not this scope's own."""
    note = _NOTES[level] if name is None else f"for {name}: {_NOTES[level]}"
    holds = [row.scope for row in rows if row.level == level.name.lower()]
    if level is KillLevel.NONE or scope in holds:
        return note
    return f"{note} (by the switch of {'the client' if kill.CLIENT in holds else 'the installation'})"


def _require_own_scope(scope: str, pointer: str) -> None:
    if scope == kill.EVERYONE:
        raise invalid(pointer, "the whole installation is its operator's: client, or an agent's id")


@routes.get("/kill-switch")
async def kill_switch(
    desk: AtDesk,
    scope: Annotated[str, Query(max_length=36, description="client, or an agent's id")] = "client",
) -> KillSwitches:
    """`level`: the strongest of those that hold for the scope: the installation's, the client's, the agent's own."""
    _require_own_scope(scope, "/query/scope")
    return await desk.read(lambda tx: _switches(tx, desk, scope))


@routes.put("/kill-switch")
async def set_kill_switch(desk: AtDesk, change: KillChange) -> KillSwitches:
    """Answers for the scope that was turned: what is stopped there now, by its own switch or a wider one."""
    _require_own_scope(change.scope, "/scope")
    if not change.reason.strip():
        raise invalid("/reason", "a kill switch needs a reason: it is what the next person reads")

    def work(tx: Connection) -> KillSwitches:
        agent_id = None
        if change.scope != kill.CLIENT:
            agent_id = AgentId(agents.of_client(tx, desk.client_id, AgentId(change.scope)).id)
        level = KillLevel[change.level.upper()]
        kill.set_level(tx, desk.now, desk.client_id, change.scope, level, change.reason)
        message = f"kill switch {change.level} for {change.scope}: {change.reason}"
        detail = {"level": change.level, "scope": change.scope}
        events.append(tx, desk.now, desk.client_id, agent_id, "kill_switch", message, detail)
        return _switches(tx, desk, change.scope)

    switches = await desk.write(work)
    desk.wake()
    return switches


@routes.get("/limits")
async def limits(desk: AtDesk) -> Limits:
    return Limits.model_validate(await desk.read(lambda tx: configuration.limits_of(tx, desk.client_id)))


@routes.put("/limits")
async def set_limits(desk: AtDesk, change: LimitsChange) -> Limits:
    wanted = {name: getattr(change, name) for name in change.model_fields_set}
    row = await desk.write(lambda tx: configuration.set_limits(tx, desk.now, desk.client_id, wanted))
    desk.wake()
    return Limits.model_validate(row)
