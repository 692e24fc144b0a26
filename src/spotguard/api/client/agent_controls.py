"""`/agents/{id}/controls`: what its page may offer now, judged by the very rules that judge the orders."""

from __future__ import annotations

from spotguard.api.client.desk import AtDesk, TheAgent, router
from spotguard.store import agent_controls
from spotguard.wire.client_agent_controls import AgentControls

routes = router()


@routes.get("/agents/{agentId}/controls")
async def controls(desk: AtDesk, agent_id: TheAgent) -> AgentControls:
    """Each order is tried and taken back; nothing is done, nothing is reserved."""
    choice = await desk.read(lambda tx: agent_controls.choice_of(tx, desk.now, desk.client_id, agent_id))
    told = await desk.write(
        lambda tx: agent_controls.of_agent(
            tx,
            desk.now,
            desk.client_id,
            agent_id,
            desk.api.shelf,
            choice,
            auto_needs_drill=desk.api.settings.auto_needs_drill,
        )
    )
    return AgentControls.model_validate(told)
