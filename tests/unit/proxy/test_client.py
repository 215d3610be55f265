"""Clients by address: the same for each connection, and never more than so many."""

from __future__ import annotations

from types import SimpleNamespace

from failover.proxy.client import Clients


def clients() -> Clients:
    world = SimpleNamespace(tls=None)
    return Clients(SimpleNamespace(launch=world, is_trusted=lambda _address: False, request_id=lambda: b"1"))


def test_the_next_connection_from_an_address_is_the_same_client():
    known = clients()
    assert known.at("192.0.2.1") is known.at("192.0.2.1")
    assert known.at("192.0.2.1") is not known.at("192.0.2.2")


def test_a_crowd_of_addresses_costs_a_bounded_memory():
    known = clients()
    for number in range(3 * Clients.MOST):
        assert known.at(f"2001:db8::{number:x}").address == f"2001:db8::{number:x}"
        assert len(known._known) <= Clients.MOST
