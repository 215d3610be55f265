"""The API does what its description says: requests made of the description, and each answer held against it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from failover import __version__
from failover.admin.api import Api as Handlers
from failover.admin.openapi import described
from support.load import ask
from support.origin import Origin
from support.pages import BASE, Api, dashboard, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case

DESCRIPTION = described()
schema = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The program, in which a drill has left an incident."""
    with Origin("primary") as primary, Origin("backup") as backup, running(primary, backup) as program:
        yield dashboard(program)


@pytest.fixture(scope="module")
def incident(address: str) -> str:
    async def made() -> str:
        api = await Api(address).ready()
        await api.done("/drill", sort="shadow", for_="1h", who="ada")
        await api.done("/drill/stop", who="ada")
        async with api.stream(0) as stream:
            await stream.happened("drill.ended")
        return (await api.incidents())[0]["id"]

    return asyncio.run(made())


@schema.parametrize()
@hypothesis.settings(
    derandomize=True,
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_every_answer_is_as_described(case: Case, address: str, incident: str) -> None:
    if "id" in case.path_parameters and len(case.path_parameters["id"]) % 2:
        case.path_parameters["id"] = incident  # nobody guesses one
    if "alias" in case.path_parameters and len(case.path_parameters["alias"]) % 2:
        case.path_parameters["alias"] = "backup"
    case.call_and_validate(base_url=f"{address}{BASE}", checks=CHECKS, timeout=20)


def test_the_description_is_valid_and_whole() -> None:
    schema.validate()
    served = {(method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    routes = {(route.method, route.path.removeprefix(BASE)) for route in Handlers(None).routes()}
    assert served == routes
    assert DESCRIPTION["info"]["version"] == __version__
    assert not unresolved(DESCRIPTION)


def unresolved(whole: dict[str, Any]) -> set[str]:
    """References that lead nowhere."""
    known = {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}

    def found(part: Any) -> set[str]:
        if isinstance(part, dict):
            named = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return named.union(*(found(one) for one in part.values()))
        return set().union(*(found(one) for one in part)) if isinstance(part, list) else set()

    return found(whole) - known


async def test_it_is_served_as_it_is_made(address: str) -> None:
    await Api(address).ready()
    reply = await ask(address, path=f"{BASE}/openapi.json")
    assert reply.header("Content-Type") == "application/json"
    assert json.loads(reply.body) == json.loads(json.dumps(described()))
