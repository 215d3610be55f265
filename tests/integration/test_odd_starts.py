"""Started oddly, read by nobody, reloaded in the middle of an outage: the proxy goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

from support.program import Process, Program, alive, clean_environment
from support.raw import RawOrigin, dial

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_log_that_nobody_reads_stops_nothing():
    with RawOrigin() as origin:
        flags = ["--primary", origin.url, "--backup", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--workers", "1"]
        program = subprocess.Popen(
            [sys.executable, "-m", "failover", *flags, "--access-log"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=clean_environment(),
        )
        try:
            first = program.stderr.readline().decode()  # and not a line more
            with dial(int(first.split("http://127.0.0.1:")[1].split()[0])) as client:
                for _ in range(3000):
                    client.send(GET)
                    assert client.read_answer()[1] == b"ok"
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == 0
        finally:
            program.kill()
            program.wait()
            program.stderr.close()


def test_closed_standard_descriptors_are_no_reason_not_to_serve():
    with RawOrigin() as origin:
        flags = ["--primary", origin.url, "--backup", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"]
        command = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-m", "failover", *flags]
        with Process(command) as program:
            program.wait_for(r"\bready\b")
        assert program.exit_code == 0
        assert "Traceback" not in program.log


def test_a_backup_added_in_an_outage_sends_nobody_back(tmp_path):
    with RawOrigin() as backup, RawOrigin() as second:
        file = tmp_path / "config.yaml"

        def write(*backups):
            urls = [one.url for one in backups]
            file.write_text(json.dumps({"primary": "http://127.0.0.1:1", "backup": urls}), encoding="utf-8")

        write(backup)
        with Program("--config", str(file)) as program:
            program.ready().wait_for("switched to the backup")
            before = state(program)
            write(second, backup)
            old, mark = program.workers(), program.mark
            program.signal(signal.SIGHUP)
            program.wait_for("reloaded", after=mark)
            going = True
            while going:  # an old worker may still answer until it is gone
                going = any(map(alive, old))
                after = state(program)
                assert after["on_backup"] is True
                assert after["since_unix"] == before["since_unix"]
            assert after["backup"] == second.url
            assert not [line for line in program.lines[mark:] if "suspected" in line]


def state(program):
    with dial(program.port) as client:
        client.send(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return json.loads(client.read_answer()[1])


def test_moving_to_another_address_of_the_same_port_is_told_to_need_a_restart(tmp_path):
    with RawOrigin() as origin, RawOrigin() as place:
        port = place.port
        place.close()
        file = tmp_path / "config.yaml"

        def write(host):
            settings = {"primary": origin.url, "backup": "http://127.0.0.1:1", "listen": f"{host}:{port}"}
            file.write_text(json.dumps(settings), encoding="utf-8")

        write("127.0.0.1")
        with Program("--config", str(file), listen=None) as program:
            program.ready()
            write("0.0.0.0")
            program.signal(signal.SIGHUP)
            program.wait_for("reload refused, nothing has changed: .* share a port: restart to move there")
            with dial(port) as client:
                client.send(GET)
                assert client.read_answer()[1] == b"ok"
