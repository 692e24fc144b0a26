"""Who may tell which step of a move: the holder its own, the new instance what it does after the grant (ruling B4)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection, Row

from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, InstanceId, SwitchId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.store import grants, move_rows
from spotguard.store.report_ends import SwitchReport
from spotguard.store.steps import recorded_steps

HOLDERS = frozenset(
    {
        Step.LAUNCHED,
        Step.SYNCED,
        Step.GATE_CLOSED,
        Step.DELTA_SENT,
        Step.IMAGED,
        Step.VOLUMES_MOVED,
        Step.RELEASED,
    }
)
EXECUTORS = frozenset({Step.LAUNCHED, Step.IMAGED, Step.VOLUMES_MOVED})
SUCCESSORS = frozenset({Step.OPENED, Step.TRAFFIC_MOVED, Step.OLD_ENDED})
_BEFORE_ANY_REPORT = frozenset({Step.DECIDED, Step.LAUNCHED, Step.ENROLLED})


def require_rights(tx: Connection, row: Row[Any], by: InstanceId, report: SwitchReport) -> None:
    """`Refused` when somebody tells what is not its own to do, or what cannot have happened yet.

    What is recorded already may be told again by anybody: it changes nothing. Of a finished move, which is history, its
    old instance may tell whatever is missing.
    """
    if Step.OLD_ENDED in report.timing and by != row.old_instance_id and _holds(tx, row, row.old_instance_id):
        raise Refused(f"{row.old_instance_id} holds the epoch: nobody else tells that it has ended")
    known = recorded_steps(tx, SwitchId(row.id))
    if _is_whole(row, by, report, known):
        return
    fresh = [step for step in report.timing if step not in known]
    names_new = report.new is not None and row.new_instance_id is None
    if by != row.old_instance_id and (names_new or not HOLDERS.isdisjoint(fresh)):
        raise Refused("only the holder itself tells what it has done up to letting go of its epoch")
    if row.status == SwitchStatus.COMPLETED:
        return
    if (names_new or not EXECUTORS.isdisjoint(fresh)) and move_rows.executor(tx, row) is Executor.SERVER:
        raise Refused("the server itself launches, images and moves volumes for this move")
    after = SUCCESSORS.intersection(fresh)
    if after and Step.GRANTED not in known:
        raise Refused(f"{min(after)} comes after the grant of the next epoch, and none is granted")
    if after and by == row.old_instance_id:
        raise Refused(f"only who took over tells of {min(after)}")
    if Step.OPENED in after and by != row.new_instance_id and not _holds(tx, row, by):
        raise Refused("only who holds the epoch serves")


def _is_whole(row: Row[Any], by: InstanceId, report: SwitchReport, known: list[Step]) -> bool:
    """The specification's report: one, by the instance that made the whole move itself, after its end."""
    return (
        by == row.old_instance_id
        and report.old is not None
        and report.new is not None
        and {Step.LAUNCHED, Step.OPENED} <= report.timing.keys()
        and _BEFORE_ANY_REPORT.issuperset(known)
    )


def _holds(tx: Connection, row: Row[Any], by: InstanceId) -> bool:
    held = grants.holder(tx, AgentId(row.agent_id))
    return held is not None and bool(held.instance_id == by)
