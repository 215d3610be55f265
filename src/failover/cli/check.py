"""`failover check`: look at both sides, this machine and the webhooks before trouble does."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from failover.cli.flags import given, settings_flags, write_flags
from failover.cli.words import SettingsCommand, mistakes
from failover.controller.describe import describe
from failover.controller.prober import Prober
from failover.controller.resolver import Resolver
from failover.dial import upstream_tls
from failover.doctor.base import Grade, Means, Place
from failover.doctor.main import examine
from failover.incidents.place import ON_PURPOSE, find_folder
from failover.notify.channels import channels
from failover.settings.sources import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failover.doctor.base import Finding
    from failover.settings.model import Settings

_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object: ok, and the findings.")


class Check(SettingsCommand):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("How to print"):
            formatter.write_dl([("--json", _JSON.help or "")])
        write_flags(formatter)


def _check(*, as_json: bool, **values: Any) -> int:
    settings = load(given(values), os.environ, mistakes()).settings
    findings = asyncio.run(_examine(settings))
    is_well = not any(finding.grade is Grade.FAIL for finding in findings)
    if as_json:
        told = {"ok": is_well, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(findings)))
    return 0 if is_well else 1


async def _examine(settings: Settings) -> list[Finding]:
    loop = asyncio.get_running_loop()
    resolver = Resolver((settings.primary, *settings.backup), loop, lambda _news: None)
    found = channels(settings.webhook_url, settings.webhook_format, settings.webhook_secret)
    folder, why_none = find_folder(settings.state_dir, settings.listen.port, os.environ)
    tls = upstream_tls((settings.primary, *settings.backup), settings.upstream_ca)
    means = Means(
        probe=Prober(settings, resolver, loop, tls).probe,
        describe=describe,
        folder=folder,
        why_none=why_none,
        on_purpose=why_none == ON_PURPOSE,
        places=tuple(Place(channel.name, channel.url) for channel in found),
    )
    resolver.start()
    try:
        return await examine(settings, means)
    finally:
        resolver.stop()


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    grades: Counter[Grade] = Counter()
    for finding in findings:
        grades[finding.grade] += 1
        yield f"{finding.grade:<4}  {finding.target}: {finding.text}"
        if finding.remedy:
            yield f"      → {finding.remedy}"
    yield ", ".join(f"{grades[grade]} {grade}" for grade in Grade)


check = Check(
    "check",
    callback=_check,
    params=[_JSON, *settings_flags()],
    help="Look at both sides before trouble does: names, connections, certificates, whether the backup looks like the "
    "primary, this machine, the webhooks. Only asks, and changes nothing. Takes the flags of run. Exit code 1 if "
    "something fails, 0 if not.",
)
