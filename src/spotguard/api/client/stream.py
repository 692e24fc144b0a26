"""`/stream`: server-sent events with ids, resumed by `Last-Event-ID` (WHATWG HTML, server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Header, Response
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import StreamingResponse

from spotguard.api import credentials
from spotguard.api.client.desk import AtDesk, Desk, router
from spotguard.api.problems import Problem, invalid, tell_away, too_busy
from spotguard.api.wakeups import Waiter
from spotguard.domain.clock import rfc3339
from spotguard.store import events
from spotguard.store.database import is_away

routes = router()
_AT_ONCE = 200
# Ids are given before their transactions commit: one may appear after a higher one. So far back is looked again.
_OVERLAP = 50


@routes.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(
    desk: AtDesk, last_event_id: Annotated[str | None, Header(max_length=20)] = None
) -> StreamingResponse:
    """What happens to this tenant's agents, as it happens. Ends after an hour: connect again with the last id."""
    begin = await _begin(desk, last_event_id)
    _require_room(desk)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(desk, begin), headers=headers, media_type="text/event-stream")


def _require_room(desk: Desk) -> None:
    """No tenant takes the streams of the others."""
    open_now, settings = desk.api.streams, desk.api.settings
    if open_now[desk.client_id] >= settings.max_streams_of_a_client:
        raise too_busy("too many event streams of this tenant are open in this process", 10)
    if open_now.total() >= settings.max_streams:
        raise too_busy("too many event streams are open in this process", 10)


async def _begin(desk: Desk, last_event_id: str | None) -> int:
    """After which id it begins. One that is not yet given is of a database that was put back to an earlier state."""
    newest = await desk.read(lambda tx: events.newest_id(tx, desk.client_id))
    if last_event_id is None:
        return newest
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):  # noqa: PLR2004
        raise invalid("/header/Last-Event-ID", "an id that this stream gave")
    return min(int(last_event_id), newest)


async def _lines(desk: Desk, begin: int) -> AsyncIterator[bytes]:
    settings = desk.api.settings
    loop = asyncio.get_running_loop()
    end = spoken = loop.time()
    end += settings.stream_seconds
    last, sent = begin, set[int]()
    desk.api.streams[desk.client_id] += 1
    waiter = Waiter()
    try:
        yield b"retry: 2000\n\n"
        while loop.time() < end and not desk.api.ending.begun:
            rows = await _after(desk, max(begin, last - _OVERLAP))
            if rows is None:
                return  # its credential opens nothing any more, or the database is away
            fresh = [row for row in rows if row.id not in sent]
            for row in fresh:
                yield _event(row)
            if fresh:
                last, spoken = max(last, fresh[-1].id), loop.time()
                sent = {row_id for row_id in sent | {row.id for row in fresh} if row_id > last - _OVERLAP}
            elif loop.time() - spoken > settings.stream_keep_alive_seconds:
                spoken = loop.time()
                yield b": still here\n\n"
            if len(rows) < _AT_ONCE:
                with desk.api.ending.waking(waiter):
                    await waiter.wait(settings.stream_poll_seconds)
    finally:
        desk.api.streams[desk.client_id] -= 1


async def _after(desk: Desk, last: int) -> Sequence[Any] | None:
    def work(tx: Connection) -> Sequence[Any] | None:
        try:
            credentials.tenant(tx, desk.api.clock.now(), desk.shown)
        except Problem:
            return None
        return events.after(tx, desk.client_id, last, _AT_ONCE)

    try:
        return await desk.read(work)
    except SQLAlchemyError as error:
        if not is_away(error):
            raise
        tell_away("GET", "/api/client/stream", error)
        return None  # the reader connects again, with the id of the last event


def _event(row: Any) -> bytes:
    told = {
        "id": row.id,
        "agentId": row.agent_id,
        "at": rfc3339(row.at),
        "kind": row.kind,
        "message": row.message,
        "detail": row.detail,
    }
    # JSON escapes line breaks: one data line, whatever the message holds.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.id, _word(row.kind), msgspec.json.encode(told))


def _word(kind: str) -> bytes:
    return "".join(letter for letter in kind if letter.isalnum() or letter in "_-").encode()
