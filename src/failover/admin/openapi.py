"""The API described in OpenAPI 3.1, made of the types that it reads and writes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from failover import __version__
from failover.admin import api
from failover.admin.base import Event, State, Target
from failover.core.document import Document
from failover.reports.base import FORMS

_REFS = "#/components/schemas/{name}"
_ORDERS = (api.SwitchOrder, api.HoldOrder, api.DrillOrder, api.Order, api.NoteOrder)
_ANSWERS = (State, Target, Event, Document, api.Summary, api.Done, api.Told, api.Problem)


def described() -> dict[str, Any]:
    types = (*_ORDERS, *_ANSWERS)
    _, components = msgspec.json.schema_components(types, ref_template=_REFS)
    paths = _paths()
    for path, operations in paths.items():
        for method, operation in operations.items():
            words = re.findall(r"\w+", path)
            operation["operationId"] = "_".join([method, *words])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Failover",
            "version": __version__,
            "description": "What the proxy is doing, and what it is told to do. Times are Unix seconds.",
        },
        "servers": [{"url": "."}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, Any]:
    last = {
        "name": "last",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 200},
        "description": "How many, the newest.",
    }
    form = {"name": "form", "in": "query", "schema": {"type": "string", "enum": list(FORMS)}}
    form["description"] = "What it is written as; html if nothing is said."
    reports: dict[str, Any] = {one.media_type.partition(";")[0]: {} for one in FORMS.values()}
    return {
        "/state": {"get": _asks("Everything at a glance.", _json(State))},
        "/targets": {"get": _asks("The primary and the backups.", _several(Target))},
        "/targets/{alias}": {"get": _asks("One of them.", _json(Target), _in_path("alias"), missing=True)},
        "/incidents": {"get": _asks("Incidents and drills, newest first.", _several(api.Summary), last, wrong=True)},
        "/incidents/{id}": {"get": _asks("One incident, whole.", _json(Document), _in_path("id"), missing=True)},
        "/incidents/{id}/report": {
            "get": _asks("One incident as a report.", reports, _in_path("id"), form, missing=True, wrong=True)
        },
        "/incidents/{id}/notes": {
            "post": _orders("Add a line to its timeline.", api.NoteOrder, api.Done, _in_path("id"), missing=True)
        },
        "/events": {
            "get": _asks(
                "What happened last; as a stream of server-sent events for who accepts text/event-stream: `happened` "
                "for each event, with a replay of what came after Last-Event-ID, and `state` whenever that changes.",
                {**_several(Event), "text/event-stream": {}},
                last,
                wrong=True,
            )
        },
        "/switch": {"post": _orders("Say who serves.", api.SwitchOrder, api.Done, refused=True)},
        "/hold": {"post": _orders("Say that nobody is switched.", api.HoldOrder, api.Done, refused=True)},
        "/drill": {"post": _orders("Begin a drill.", api.DrillOrder, api.Done, refused=True)},
        "/drill/stop": {"post": _orders("End the drill that runs.", api.Order, api.Done, refused=True)},
        "/notifications/test": {
            "post": _orders("Send a sample to every channel, and tell what each of them said.", api.Order, [api.Told])
        },
        "/openapi.json": {"get": _asks("This document.", {"application/json": {"schema": {"type": "object"}}})},
    }


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REFS.format(name=kind.__name__)}


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(kind)}}


def _several(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "array", "items": _ref(kind)}}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _asks(
    what: str, content: dict[str, Any], *parameters: dict[str, Any], missing: bool = False, wrong: bool = False
) -> dict[str, Any]:
    statuses = [401, 403, 429, 503] + [404] * missing + [400] * wrong
    return {"summary": what, "parameters": list(parameters), "responses": _responses(content, statuses)}


def _orders(
    what: str, order: type, done: Any, *parameters: dict[str, Any], missing: bool = False, refused: bool = False
) -> dict[str, Any]:
    content = _several(done[0]) if isinstance(done, list) else _json(done)
    statuses = [400, 401, 403, 413, 415, 429, 503] + [404] * missing + [409] * refused
    return {
        "summary": what,
        "parameters": list(parameters),
        "requestBody": {"required": False, "content": _json(order)},
        "responses": _responses(content, statuses),
    }


def _responses(content: dict[str, Any], statuses: list[int]) -> dict[str, Any]:
    meanings = {
        400: "It cannot be read.",
        401: "A token is needed.",
        403: "It came from elsewhere.",
        404: "There is none.",
        409: "It is not done, for the reason given.",
        413: "It is too long.",
        415: "It is no JSON.",
        429: "Too many wrong tokens.",
        503: "The proxy has only just begun.",
    }
    problem = {"application/problem+json": {"schema": _ref(api.Problem)}}
    found = {str(status): {"description": meanings[status], "content": problem} for status in sorted(statuses)}
    return {"200": {"description": "As asked.", "content": content}, **found}
