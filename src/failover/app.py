"""The wiring: from settings to running processes. Only this file knows everybody; only `cli` imports it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from failover.admin import server
from failover.admin.history import Named
from failover.admin.server import Plan
from failover.controller import main as controller
from failover.errors import Mistake, SettingsError, StoreError
from failover.incidents.handover import hand_over
from failover.incidents.place import find_folder
from failover.incidents.store import open_store
from failover.notify import courier
from failover.notify.channels import channels
from failover.notify.trial import try_all
from failover.observe import log
from failover.proxy import worker
from failover.settings.machine import no_core_dumps, raise_file_limit
from failover.settings.places import DEFAULT_ADMIN
from failover.settings.rows import SETTINGS
from failover.settings.secrets import in_the_open, secrets_of
from failover.settings.source import DEFAULT, SourceKind
from failover.supervisor import systemd
from failover.supervisor.become import Users, become, choose, no_new_rights
from failover.supervisor.certificate import open_tls, open_upstream_tls
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
    from failover.settings.users import User

_log = log.get("supervisor")


def run(loaded: Loaded, reload: Callable[[], Loaded]) -> int:
    """Run the proxy until it is told to stop, and return the exit code.

    `reload()` reads all sources again and raises SettingsError for what cannot be meant. Raises StartError when this
    machine does not let it start.
    """
    _refuse_another(loaded)
    settings = loaded.settings
    log.configure(settings.json_logs, settings.log_level, secrets_of(settings))
    raise_file_limit()
    no_core_dumps()
    tls, upstream_tls = open_tls(settings), open_upstream_tls(settings)
    activated = systemd.activated()
    public = activated or open_public(settings.listen)
    _tell(settings, public)
    users = choose(settings.user, _program())
    _tell_house(loaded, users)
    _hand_over(settings)

    sources = Sources()
    sources.learn(loaded)

    def reread() -> Settings:
        again = reload()
        sources.learn(again)
        _hand_over(again.settings)
        return again.settings

    run_controller = partial(controller.run, open_store, _hire_courier, partial(_open_pages, sources))
    roles = Roles(
        controller=partial(_child, run_controller, users.controller),
        worker=partial(_child, worker.run, users.worker),
        users=users,
    )
    admin = open_admin(settings.admin_listen)
    return Supervisor(
        roles, settings, public, reread, admin=admin, tls=tls, upstream_tls=upstream_tls, activated=bool(activated)
    ).run()


def _child(run: Callable[[Launch], int], user: User | None, launch: Launch) -> int:
    """What every child does first: become its user, and log as its settings say, which a reload may have changed."""
    if user is not None:
        become(user)
    no_new_rights()
    settings = launch.settings
    log.configure(settings.json_logs, settings.log_level, secrets_of(settings))
    return run(launch)


def _refuse_another(loaded: Loaded) -> None:
    """Only root becomes somebody else. Told where it is tried: a file is looked at by others as well."""
    user, source = loaded.settings.user, loaded.sources["user"]
    if user is not None and os.geteuid() not in (0, user.uid):
        what = f'"{user}" is somebody else, which only root can become; start it as root, or as {user}'
        raise SettingsError([Mistake(source.where, what, "user", names_key=source.kind is SourceKind.FILE)])


def _program() -> list[Path]:
    """One file of ours, of Python's and of the libraries: they may lie in three places."""
    found = (find_spec(name) for name in (__name__, "base64", "aiohttp"))
    return [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]


def _hand_over(settings: Settings) -> None:
    """The state folder becomes that of the controller's user. Where that cannot be, incidents are kept in memory."""
    folder, _ = find_folder(settings.state_dir, settings.listen.port, os.environ)
    if settings.user is None or folder is None or settings.user.uid == os.geteuid() or os.geteuid() != 0:
        return
    try:
        hand_over(folder, settings.user)
    except StoreError as error:
        _log.warning("the state folder stays as it is", action="store.not_given", reason=str(error))


def _tell_house(loaded: Loaded, users: Users) -> None:
    """Who runs as whom, where that is a question; and secrets that stand where others can read them."""
    if users.worker is not None:
        controller = users.controller or "root"
        what = f"workers run as {users.worker}, the controller as {controller}, the supervisor as root"
        _log.info(what, action="failover.users")
    elif users.why_not:
        what = "workers run as root: they cannot become nobody here"
        _log.warning(what, action="failover.users", reason=users.why_not)
    if os.getpid() == 1:
        return  # a container of its own: nobody else is there
    for what, remedy in in_the_open(loaded.settings, loaded.sources):
        _log.info(what, action="failover.secret_open", remedy=remedy)


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
        peers=launch.peers,
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
