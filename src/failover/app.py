"""The wiring: from settings to running processes. Only this file knows everybody; only `cli` imports it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from failover.admin import server
from failover.admin.history import Named
from failover.admin.server import Plan
from failover.controller import main as controller
from failover.incidents.store import open_store
from failover.notify import courier
from failover.notify.channels import channels
from failover.notify.trial import try_all
from failover.observe import log
from failover.proxy import worker
from failover.settings.machine import raise_file_limit
from failover.settings.places import DEFAULT_ADMIN
from failover.settings.rows import SETTINGS
from failover.settings.source import DEFAULT
from failover.supervisor import systemd
from failover.supervisor.certificate import open_tls
from failover.supervisor.main import Roles, Supervisor
from failover.supervisor.sockets import open_admin, open_public, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from failover.admin.base import Desk, Pages
    from failover.incidents.base import Store
    from failover.launch import Launch
    from failover.notify.base import Courier
    from failover.settings.model import Settings
    from failover.settings.sources import Loaded

_log = log.get("supervisor")


def run(loaded: Loaded, reload: Callable[[], Loaded]) -> int:
    """Run the proxy until it is told to stop, and return the exit code.

    `reload()` reads all sources again and raises SettingsError for what cannot be meant. Raises StartError when this
    machine does not let it start.
    """
    settings = loaded.settings
    log.configure(settings.json_logs, settings.log_level)
    raise_file_limit()
    tls = open_tls(settings)
    activated, watched = systemd.activated(), systemd.watchdog()
    public = activated or open_public(settings.listen)
    _tell(settings, public)

    sources = Sources()
    sources.learn(loaded)

    def reread() -> Settings:
        again = reload()
        sources.learn(again)
        return again.settings

    run_controller = partial(controller.run, open_store, _hire_courier, partial(_open_pages, sources))
    roles = Roles(partial(_child, run_controller), partial(_child, worker.run))
    admin = open_admin(settings.admin_listen)
    supervisor = Supervisor(
        roles, settings, public, reread, admin=admin, tls=tls, activated=bool(activated), watchdog=watched
    )
    return supervisor.run()


def _child(run: Callable[[Launch], int], launch: Launch) -> int:
    """What every child does first: log as its own settings say, which a reload may have changed."""
    log.configure(launch.settings.json_logs, launch.settings.log_level)
    return run(launch)


def _hire_courier(settings: Settings, store: Store) -> Courier:
    return courier.start(store, channels(settings.webhook_url, settings.webhook_format, settings.webhook_secret))


class Sources:
    """Where the settings came from, for the page that shows them; of the last few readings that there were."""

    def __init__(self) -> None:
        self._known: list[Loaded] = []

    def learn(self, loaded: Loaded) -> None:
        self._known = [*self._known[-3:], loaded]

    def rows(self, settings: Settings) -> list[tuple[str, str, str]]:
        """Each setting as one would write it, secrets masked, and its source."""
        sources = next((one.sources for one in self._known if one.settings is settings), {})
        rows = []
        for key, setting in SETTINGS.items():
            written = setting.write(getattr(settings, key))
            value = ", ".join(written) if isinstance(written, list) else written
            rows.append((key, value or "none", str(sources.get(key, DEFAULT))))
        return rows


def _open_pages(sources: Sources, launch: Launch, store: Store, desk: Desk) -> Pages:
    settings = launch.settings
    told = channels(settings.webhook_url, settings.webhook_format, settings.webhook_secret)

    async def test_channels() -> list[tuple[str, str, bool, str]]:
        trials = await try_all(told, settings.primary, settings.backup, datetime.now(UTC))
        return [(trial.channel, trial.format, trial.delivered, trial.said) for trial in trials]

    plan = Plan(
        local=launch.admin,
        public=launch.pages_listening,
        ports=tuple(port for url in launch.public if (port := urlsplit(url).port)),
        local_host=(settings.admin_listen or DEFAULT_ADMIN).host,
        token=settings.admin_token or "",
        public_url=settings.public_url,
        slo=settings.slo,
        channels=[Named(one.key, one.name, one.format) for one in told],
        rows=sources.rows(settings),
        test_channels=test_channels,
    )
    return server.start(plan, store, desk)


def _tell(settings: Settings, public: tuple[socket.socket, ...]) -> None:
    """The start lines: where it listens, in front of what."""
    backups = [target.url for target in settings.backup]
    for one in public:
        _log.info(
            f"listening on {url_of(one, tls=settings.tls_cert is not None)}",
            action="failover.listening",
            primary=settings.primary.url,
            backup=backups,
        )
