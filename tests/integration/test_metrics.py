"""`/metrics` of the real program: every metric is there, numbers are exact, and counters survive who is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from failover.observe.metrics import METRICS, Type
from support import weather
from support.load import ask
from support.origin import Origin
from support.program import PATIENCE, Program
from support.raw import dial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = ("--workers", "2", "--check-interval", "100ms", "--admin-listen", "127.0.0.1:0")
OF_WORKERS = {
    "failover_requests_total",
    "failover_upstream_errors_total",
    "failover_rescued_requests_total",
    "failover_failed_requests_total",
    "failover_refused_requests_total",
    "failover_aborted_requests_total",
    "failover_received_bytes_total",
    "failover_sent_bytes_total",
    "failover_request_duration_seconds_bucket",
    "failover_request_duration_seconds_count",
    "failover_request_duration_seconds_sum",
}
"""What workers count, and go on counting when their controller is gone."""

GROWING = OF_WORKERS | {metric.name for metric in METRICS if metric.type is Type.COUNTER} | {
    f"failover_probe_duration_seconds_{part}" for part in ("bucket", "count", "sum")}  # fmt: skip


class Page:
    """What one scrape shows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The sum of all samples of this name with these labels; None where there is none."""
        found = [value for (one, has), value in self.samples.items() if one == name and labels.items() <= set(has)]
        return sum(found) if found else None

    def only(self, names: set[str]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {key: value for key, value in self.samples.items() if key[0] in names}


class Scraper:
    """Who asks again whenever the proxy says that something is new: once a second, and at each change."""

    def __init__(self, program: Program, token: str = "") -> None:
        self._known = {"Authorization": f"Bearer {token}"}
        self._url = program.wait_for(r"dashboard on (http://\S+)/")[1]

    def page(self) -> Page:
        with urlopen(Request(f"{self._url}/metrics", headers=self._known), timeout=PATIENCE) as answer:
            return Page(answer.read().decode())

    def pages(self) -> Iterator[Page]:
        events = Request(f"{self._url}/api/v1/events", headers={"Accept": "text/event-stream", **self._known})
        with closing(urlopen(events, timeout=PATIENCE)) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield self.page()

    def wait_for(self, wanted: Callable[[Page], object], most: int = 200) -> Page:
        page = None
        for _, page in zip(range(most), self.pages(), strict=False):
            if wanted(page):
                return page
        raise AssertionError(f"it was never so; the last page:\n{page and page.text}")


async def ask_often(url: str, times: int, method: str = "GET", body: bytes | None = None) -> Counter[str | None]:
    return Counter([(await ask(url, method, body=body)).header("X-Origin") for _ in range(times)])


def program(primary: Origin, backup: Origin, *more: str) -> Program:
    return Program("--primary", primary.url, "--backup", backup.url, *QUICK, *more)


async def test_every_metric_is_there_and_says_what_happened(primary: Origin, backup: Origin) -> None:
    primary.routes["/drop"] = weather.drop()
    with (
        Origin("told") as told,
        program(primary, backup, "--webhook-url", f"{told.url}/hook") as proxy,
    ):
        url, scraper = proxy.ready().url, Scraper(proxy)
        assert await ask_often(url, 20) == {"primary": 20}
        assert await ask_often(url, 3, "POST", b"0123456789") == {"primary": 3}
        assert await ask_often(url, 1, "BREW") == {"primary": 1}

        page = scraper.wait_for(lambda page: page("failover_request_duration_seconds_count", upstream="primary") == 24)
        for metric in METRICS:
            assert f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.type}\n" in page.text
        answers = {"GET": 20, "POST": 3, "_OTHER": 1}
        for method, number in answers.items():
            assert page("failover_requests_total", upstream="primary", method=method, code="200") == number
        assert page("failover_requests_total") == page("failover_request_duration_seconds_bucket", le="+Inf") == 24
        assert page("failover_received_bytes_total") == 30
        assert page("failover_sent_bytes_total") == 24 * len("primary\n")
        assert page("failover_requests_total", upstream="backup") == 0, "it is there before it is needed"
        nothing = ("failed_requests", "rescued_requests", "refused_requests", "upstream_errors", "switches")
        assert [page(f"failover_{name}_total") for name in nothing] == [0] * len(nothing)
        assert (page("failover_active_upstream", upstream="primary"), page("failover_active_upstream")) == (1, 1)
        assert page("failover_upstream_up") == page("failover_workers") == 2
        assert page("failover_ramp_share_ratio") == page("failover_notification_channel_up") == 1
        assert page("failover_incident_open") == page("failover_drill_active") == 0
        assert page("failover_probes_total", upstream="primary", result="ok") == page(
            "failover_probe_duration_seconds_count", upstream="primary")  # fmt: skip
        assert page("process_resident_memory_bytes")

        assert (await ask(url, path="/drop")).header("X-Origin") == "backup"
        primary.stop()
        await proxy.seen("switched to the backup")
        assert await ask_often(url, 5) == {"backup": 5}

        page = scraper.wait_for(
            lambda page: (
                page("failover_requests_total", upstream="backup") == 6
                and page("failover_notifications_total", result="sent")
            )
        )
        assert page("failover_requests_total", upstream="primary") == 24
        assert page("failover_active_upstream", upstream="backup") == page("failover_active_upstream") == 1
        assert page("failover_upstream_up", upstream="primary") == 0
        assert page("failover_rescued_requests_total") == 1
        assert page("failover_failed_requests_total") == 0
        tries = page("failover_upstream_errors_total", upstream="primary", error="connection_terminated")
        assert 1 <= tries <= 2, "a kept connection that ends is tried once more on a fresh one"
        assert page("failover_upstream_errors_total") == tries
        assert page("failover_switches_total", to="backup", reason="connection_refused") == 1
        assert page("failover_switches_total") == 1
        assert page("failover_ramp_share_ratio") == 0
        assert page("failover_incident_open", drill="false") == 1
        assert page("failover_last_switch_timestamp_seconds") > page("process_start_time_seconds")
        assert page("failover_backup_seconds_total") >= 1
        assert page("failover_probes_total", upstream="primary", result="connection_refused") >= 3
        assert any(seen.path == "/hook" for seen in told.requests)


async def test_no_counter_goes_back_when_a_worker_is_killed(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        url, scraper = proxy.ready().url, Scraper(proxy)
        await ask_often(url, 30)
        before = scraper.wait_for(lambda page: page("failover_requests_total") == 30).only(GROWING)
        for slot, pid in enumerate(proxy.workers()):
            mark = proxy.mark
            os.kill(pid, signal.SIGKILL)
            await proxy.seen(rf"worker {slot} is back", after=mark)
        assert await ask_often(url, 10) == {"primary": 10}
        for page in scraper.pages():
            now = page.only(GROWING)
            assert not {key: (value, now.get(key)) for key, value in before.items() if now.get(key, -1) < value}
            before = now
            if page("failover_requests_total") == 40 and page("failover_workers") == 2:
                break


async def test_what_workers_counted_outlives_the_controller(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        url, scraper = proxy.ready().url, Scraper(proxy)
        await ask_often(url, 30)
        page = scraper.wait_for(lambda page: page("failover_requests_total") == 30)
        before, began = page.only(OF_WORKERS), page("process_start_time_seconds")
        os.kill(proxy.controller(), signal.SIGKILL)
        await proxy.seen("controller is back")
        assert await ask_often(url, 10) == {"primary": 10}
        for page in scraper.pages():
            now = page.only(OF_WORKERS)
            assert not now or now.keys() >= before.keys(), "all of them, or none"
            assert not {key: (value, now[key]) for key, value in before.items() if now and now[key] < value}
            if page("failover_requests_total") == 40:
                break
        assert page("process_start_time_seconds") > began, "it is another process"
        assert page("failover_workers") == 2


async def test_who_watches_a_page_on_the_public_port_is_no_request_in_flight() -> None:
    token = "a-token-of-some-length"
    with (
        Origin("primary") as primary,
        Origin("backup") as backup,
        Program("--primary", primary.url, "--backup", backup.url, "--admin-token", token, *QUICK) as program,
        dial(program.ready().port) as watcher,
    ):
        watcher.send(
            b"GET /__failover/api/v1/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n",
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n",
        )
        assert watcher.read_head().startswith(b"HTTP/1.1 200 ")
        page = Scraper(program, token).wait_for(lambda page: page("failover_client_connections") == 1)
        assert page("failover_requests_in_flight") == 0
