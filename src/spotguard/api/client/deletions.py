"""Deleting an agent: what it would leave running and billed, and the order itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from spotguard.api.client.desk import AtDesk, TheAgent, router
from spotguard.store import deletions
from spotguard.store.deletions import Deletion
from spotguard.wire.client_deletions import DeletedAgent, DeletionPreview, LeftBehindState

routes = router()


@routes.get("/agents/{agentId}/deletion")
async def deletion(desk: AtDesk, agent_id: TheAgent) -> DeletionPreview:
    """What the order would come to now, or the refusal that it would meet; of a deleted one, what still goes on.

    The order is tried and taken back; nothing is done, nothing is reserved.
    """
    would = await desk.write(lambda tx: deletions.preview(tx, desk.now, desk.client_id, agent_id))
    return DeletionPreview(
        because=would.because,
        left=_left(would),
        usd_per_month=would.usd_per_month,
        standbys=list(would.standbys),
        as_seen=would.as_seen,
    )


@routes.delete("/agents/{agentId}")
async def delete_agent(
    desk: AtDesk,
    agent_id: TheAgent,
    *,
    as_seen: Annotated[str | None, Query(alias="asSeen", max_length=64)] = None,
) -> DeletedAgent:
    """Soft: its history stays. Its instances are not ended: `left` names what goes on, billed and guarded by nobody.

    With `asSeen` of the preview it is refused where what goes on or ends is no longer what was shown.
    """
    done = await desk.write(lambda tx: deletions.delete(tx, desk.now, desk.client_id, agent_id, as_seen))
    desk.wake()
    return DeletedAgent(
        id=done.agent.id,
        logical_agent_id=done.agent.logical_agent_id,
        deleted_at=done.agent.deleted_at,
        because=done.because,
        left=_left(done),
        usd_per_month=done.usd_per_month,
        standbys=list(done.standbys),
    )


def _left(found: Deletion) -> list[LeftBehindState]:
    return [
        LeftBehindState(
            resource_id=one.row.id,
            kind=one.kind,
            made_by_spotguard=one.is_made,
            usd_per_month=one.usd_per_month,
            plan=one.plan,
        )
        for one in found.left
    ]
