"""Names that lie: that lead to ourselves, to nobody, to very many, or to somebody else each time they are asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from support.load import ask
from support.names import NameServer, own_files
from support.program import Process, Program, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from support.origin import Origin

BLOCKED = ("0.0.0.0", "255.255.255.255", "224.0.0.1")


async def test_a_primary_that_is_this_proxy_by_another_name_is_never_gone_back_to(backup: Origin) -> None:
    """What its probes are answered is good as long as the backup serves, for it is the backup's answer."""
    port = free_port()
    args = ("--check-interval", "100ms", "--ramp-step", "0", "--workers", "1", "--log-level", "debug")
    with Program(
        "--primary", f"http://me.localhost:{port}", "--backup", backup.url, *args, listen=f"127.0.0.1:{port}"
    ) as program:
        url = program.ready().url
        switched = program.wait_for("switched to the backup: .*leads back to this proxy")
        mark = program.mark
        for _ in range(5):
            found = program.wait_for("primary (answered|failed) a probe.*", after=mark)
            assert found[1] == "failed"
            assert "status=200" in found[0]
            mark = program.lines.index(found.string, mark) + 1
        assert (await ask(url)).header("X-Origin") == "backup"
        assert "switched back" not in program.log
    assert switched


def _start(tmp_path: Path, server: NameServer, port: int, backup: Origin) -> Process:
    servers = tmp_path / "resolv.conf"
    servers.write_text(f"nameserver {server.address}\noptions timeout:1 attempts:1\n")
    flags = ["--primary", f"http://app.test:{port}", "--backup", backup.url, "--workers", "1"]
    times = ["--check-interval", "200ms", "--fail-threshold", "100", "--listen", "127.0.0.1:0"]
    env = {"FAILOVER_STATE_DIR": "memory", "FAILOVER_ADMIN_LISTEN": "off"}
    command = [*own_files({"/etc/resolv.conf": servers}), sys.executable, "-m", "failover"]
    return Process([*command, *flags, *times], env=env)


async def test_the_last_good_address_is_kept_when_the_name_is_answered_as_a_blocked_one(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    """As filters do; it is asked for again in each suspicion."""
    with NameServer() as server, _start(tmp_path, server, primary.port, backup) as program:
        url = program.wait_for(r"listening on (http://\S+)")[1]
        program.wait_for("name of primary does not resolve")
        server.answer = ("127.0.0.1",)
        program.wait_for("name of primary resolves again")
        program.wait_for("no longer suspected")
        mark, server.answer = program.mark, BLOCKED
        primary.stop()
        program.wait_for("name of primary does not resolve, its last addresses stay in use", after=mark)
        primary.start()
        assert (await ask(url)).header("X-Origin") == "primary"


async def test_of_very_many_addresses_one_that_answers_is_enough(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    with NameServer() as server:
        server.answer = (*(f"127.0.7.{number}" for number in range(1, 40)), "127.0.0.1")
        with _start(tmp_path, server, primary.port, backup) as program:
            url = program.wait_for(r"listening on (http://\S+)")[1]
            for _ in range(3):
                assert (await ask(url)).header("X-Origin") == "primary"
        assert "suspected" not in program.log
