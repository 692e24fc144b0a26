"""The contract as OpenAPI: the client API from FastAPI, the agent API from its table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from spotguard import __version__
from spotguard.api.agent_routes import AGENT_CALLS, Call
from spotguard.api.credentials import COOKIE, CSRF_HEADER
from spotguard.api.problems import MEDIA_TYPE, ProblemRoute

_REF = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_ERRORS = {
    400: "the body is not JSON",
    401: "no credential, or one that opens nothing",
    403: "known, but not allowed",
    404: "there is no such thing in this tenant",
    409: "a rule refuses: the detail says which, and what to do",
    413: "the body is larger than 256 KiB",
    422: "well-formed but not valid",
    429: "too many at once: see Retry-After",
    500: "the server failed: look whether the request was applied before you repeat it",
    503: "the database cannot serve now: see Retry-After; of a write look first whether it was applied",
}
_PROBES = {
    "/health/live": ("the process answers; never asks the database", "application/json", ()),
    "/health/ready": ("the database can serve, and be written", "application/json", (503,)),
    "/metrics": ("Prometheus metrics of this process; nothing of any tenant", "text/plain", ()),
}
_CREDENTIALS = {
    "client": "the tenant's token",
    "agent": "the token that this instance's registration gave",
    "enrolment": "the tenant's token, or the single-use token of the instance's launch",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole contract as OpenAPI 3.1."""
    told: dict[str, Any] = get_openapi(
        title="SpotGuard",
        version=__version__,
        summary="Keeps single EC2 workloads on spot capacity",
        routes=app.routes,
    )
    schemas = told.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in told["paths"].values():
        for operation in path.values():
            _describe_errors(operation)
            operation.setdefault("security", [{"client": []}, {"session": []}])
    _add_agent_calls(told, schemas)
    told["paths"].update({path: {"get": _open_to_all(path, *probe)} for path, probe in _PROBES.items()})
    schemas["Problem"] = _PROBLEM
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
    told["components"]["responses"] = {
        str(status): {"description": text, "content": content} for status, text in _ERRORS.items()
    }
    told["components"]["securitySchemes"] = {
        name: {"type": "http", "scheme": "bearer", "description": text} for name, text in _CREDENTIALS.items()
    }
    told["components"]["securitySchemes"]["session"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"a browser that signed in; changes need the header {CSRF_HEADER} too",
    }
    return told


def _open_to_all(path: str, summary: str, media_type: str, errors: tuple[int, ...]) -> dict[str, Any]:
    schema = {"type": "object"} if media_type == "application/json" else {"type": "string"}
    done = {"description": "yes", "content": {media_type: {"schema": schema}}}
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in errors}
    return {
        "tags": ["probes"],
        "summary": summary,
        "operationId": path.strip("/").replace("/", "_"),
        "security": [],
        "responses": {"200": done, **refused},
    }


def _describe_errors(operation: dict[str, Any]) -> None:
    for status in _ERRORS:
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}


def _add_agent_calls(told: dict[str, Any], schemas: dict[str, Any]) -> None:
    kinds = [kind for call in AGENT_CALLS for kind in (call.takes, call.gives) if kind is not None]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schemas.update(components)
    for call in sorted(AGENT_CALLS, key=lambda one: one.path):
        told["paths"].setdefault(call.path, {})[call.method.lower()] = _operation(call)


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["agent"],
        "summary": call.summary,
        "operationId": call.handler.__name__,
        "security": [{call.credential: []}],
        "parameters": [*_path_parameters(call), *_query_parameters(call)],
        "responses": {
            str(status): {
                "description": "done",
                "content": {"application/json": {"schema": _schema_of(call.gives)}},
            }
            for status in call.statuses
        },
    }
    if call.takes is not None:
        body = {"required": True, "content": {"application/json": {"schema": _schema_of(call.takes)}}}
        operation["requestBody"] = body
    _describe_errors(operation)
    return operation


def _schema_of(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _path_parameters(call: Call) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", call.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(call: Call) -> Iterator[dict[str, Any]]:
    for name, highest in call.query:
        schema = {"type": "integer", "minimum": 0, "maximum": highest}
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def routes(app: FastAPI) -> Iterator[ProblemRoute]:
    made: list[bytes] = []

    async def contract(_request: Request) -> Response:
        if not made:
            made.append(json.dumps(document(app)).encode())
        return Response(made[0], media_type="application/json")

    yield ProblemRoute("/openapi.json", contract)


def text(app: FastAPI) -> str:
    """As it is committed."""
    return json.dumps(document(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
