"""`/agents/{id}/replicas` and `/restore-points`: what a workload comes back from."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, TheAgent, TheReplica, router
from spotguard.domain.commands import CreatedBy
from spotguard.store import agents, plans, views_history
from spotguard.store import restore_points as restore_point_store
from spotguard.wire.client import Listed, ReplicaState
from spotguard.wire.client_controls import RestorePoint

routes = router()


@routes.get("/agents/{agentId}/replicas")
async def replicas(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[ReplicaState]:
    page = await desk.read(lambda tx: views_history.replicas(tx, desk.client_id, agent_id, asked))
    return Listed(items=[ReplicaState.model_validate(r) for r in page.rows], next_cursor=page.next_cursor)


@routes.get("/agents/{agentId}/restore-points")
async def restore_points(desk: AtDesk, agent_id: TheAgent) -> Listed[RestorePoint]:
    """Images to come back from when neither a standby nor a volume is left, newest first."""

    def work(tx: Connection) -> list[RestorePoint]:
        agents.of_client(tx, desk.client_id, agent_id)
        rows = restore_point_store.listed(tx, desk.client_id, agent_id)
        return [RestorePoint.of(row, desk.now) for row in rows]

    return Listed(items=await desk.read(work), next_cursor=None)


@routes.post("/agents/{agentId}/replicas", status_code=201)
async def create_replica(desk: AtDesk, agent_id: TheAgent) -> ReplicaState:
    """A manual replica now, in the cheapest safe pool; the coordinator launches it."""

    def work(tx: Connection) -> ReplicaState:
        replica_id = plans.create_replica(
            tx, desk.now, client_id=desk.client_id, agent_id=agent_id, created_by=CreatedBy.USER
        )
        return ReplicaState.model_validate(views_history.replica(tx, desk.client_id, agent_id, replica_id))

    created = await desk.write(work)
    desk.wake()
    return created


@routes.delete("/agents/{agentId}/replicas/{replicaId}")
async def terminate_replica(desk: AtDesk, agent_id: TheAgent, replica_id: TheReplica) -> ReplicaState:
    """The coordinator ends its machine; in manual mode another one follows. Again is harmless."""

    def work(tx: Connection) -> tuple[ReplicaState, str | None]:
        plans.end_replica(tx, desk.now, client_id=desk.client_id, agent_id=agent_id, replica_id=replica_id)
        after = views_history.replica(tx, desk.client_id, agent_id, replica_id)
        return ReplicaState.model_validate(after), agents.serving_instance(tx, agent_id)

    ended, serving = await desk.write(work)
    desk.wake(serving)
    return ended
