"""`/tokens` and `/token/rotate`: what opens something of this tenant's."""

from __future__ import annotations

from fastapi import Response
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AtDesk, router
from spotguard.store import events, sessions, tenants, views_tokens
from spotguard.store.secrets import hash_token
from spotguard.wire.client_tokens import AgentTokenState, BrowserState, NewToken, RotationWish, Tokens

routes = router()


@routes.get("/tokens")
async def tokens(desk: AtDesk) -> Tokens:
    """Who holds which, and since when; secrets are not kept and cannot be shown."""

    def work(tx: Connection) -> Tokens:
        return Tokens(
            agent_tokens=[
                AgentTokenState.model_validate(row) for row in views_tokens.of_agents(tx, desk.client_id)
            ],
            browsers=[
                BrowserState.model_validate(row)
                for row in views_tokens.browsers(tx, desk.now, desk.client_id, desk.shown.hash)
            ],
        )

    return await desk.read(work)


@routes.post("/token/rotate")
async def rotate(desk: AtDesk, _wish: RotationWish, response: Response) -> NewToken:
    """A new token for the tenant. The former one and other browsers open nothing any more; agents keep theirs."""

    def work(tx: Connection) -> NewToken:
        token = tenants.rotate_token(tx, desk.now, desk.client_id)
        sessions.carry_over(tx, desk.shown.hash, hash_token(token))
        events.append(tx, desk.now, desk.client_id, None, "token_rotated", "the tenant's token was rotated")
        return NewToken(token=token)

    made = await desk.write(work)
    response.headers["Cache-Control"] = "no-store"
    return made
