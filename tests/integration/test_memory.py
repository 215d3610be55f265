"""What a proxy holds that has nothing to do."""

from __future__ import annotations

import asyncio

from support.load import Load
from support.memory import linux_only, share
from support.origin import Origin
from support.pages import Api, dashboard
from support.program import Program

pytestmark = linux_only

_MOST = 80_000_000


async def test_an_idle_proxy_holds_at_most_80_mb() -> None:
    with (
        Origin("primary") as primary,
        Origin("backup") as backup,
        Program(
            "--primary", primary.url, "--backup", backup.url, "--workers", "1", "--admin-listen", "127.0.0.1:0"
        ) as program,
    ):
        family = [program.ready().pid, program.controller(), *program.workers()]
        assert len(family) == 3
        with Load(program.url, visitors=1) as load:
            await asyncio.to_thread(load.wait_for, answered=100)
        held = share(family)
        assert held <= _MOST, f"an idle proxy holds {held / 1e6:.1f} MB"

        # What the pages need is loaded now, and they know what was before.
        page = Api(dashboard(program))
        assert (await page.state())["serving"] == "primary"
        assert await page.get("/incidents") == []
