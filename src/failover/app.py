"""The wiring: from settings to running processes. Only this file knows everybody; only `cli` imports it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from failover.controller import main as controller
from failover.incidents.store import open_store
from failover.notify import courier
from failover.notify.channels import channels
from failover.observe import log
from failover.proxy import worker
from failover.settings.machine import raise_file_limit
from failover.supervisor import systemd
from failover.supervisor.main import Roles, Supervisor
from failover.supervisor.sockets import open_admin, open_public, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

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
    activated = systemd.activated()
    public = activated or open_public(settings.listen)
    _tell(settings, public)

    def reread() -> Settings:
        return reload().settings

    run_controller = partial(controller.run, open_store, _hire_courier)
    roles = Roles(partial(_child, run_controller), partial(_child, worker.run))
    admin = open_admin(settings.admin_listen)
    return Supervisor(roles, settings, public, reread, admin=admin, activated=bool(activated)).run()


def _child(run: Callable[[Launch], int], launch: Launch) -> int:
    """What every child does first: log as its own settings say, which a reload may have changed."""
    log.configure(launch.settings.json_logs, launch.settings.log_level)
    return run(launch)


def _hire_courier(settings: Settings, store: Store) -> Courier:
    return courier.start(store, channels(settings.webhook_url, settings.webhook_format, settings.webhook_secret))


def _tell(settings: Settings, public: tuple[socket.socket, ...]) -> None:
    """The start lines: where it listens, in front of what."""
    backups = [target.url for target in settings.backup]
    for one in public:
        _log.info(
            f"listening on {url_of(one)}", action="failover.listening", primary=settings.primary.url, backup=backups
        )
