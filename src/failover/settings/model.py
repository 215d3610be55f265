"""Every setting there is: its name, form, default, meaning, and the variables that the original had for it.

The one definition. Flags, environment, YAML keys, `--help`, the JSON Schema and the reference page all come from here.
A key `fail_threshold` is `--fail-threshold` as a flag and `FAILOVER_FAIL_THRESHOLD` in the environment.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from failover.core.model import Target
from failover.settings import machine, places
from failover.settings.amounts import duration, percent, size
from failover.settings.certificate import KEY_FILE, server_tls
from failover.settings.facts import Facts, Group, facts_of
from failover.settings.places import TARGET, Network, StatusRange
from failover.settings.types import SWITCH, Form, Listen, choice, whole
from failover.settings.users import USER, User

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TARGET", "Listen", "Settings"]

_HOUR = 3600.0
_DAY = 86400.0
_BETWEEN_URLS = r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)"  # a comma may be part of an address
_BETWEEN_WORDS = r"[,\s]+"


class Settings(BaseModel):
    """Everything that can be set. Durations are seconds, sizes bytes.

    Texts are parsed and held against their bounds; values of the final type are taken as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The order matters in two places: an address is held against `listen` and `backup_kind`, and a backup against
    # the primary. Where they are shown, groups order them.
    listen: Annotated[
        Listen, Facts(Group.EVERYDAY, places.LISTEN, "Address and port to listen on.", shown_default="0.0.0.0:8080")
    ] = Listen("0.0.0.0", 8080)
    backup_kind: Annotated[
        str,
        Facts(
            Group.TRAFFIC,
            choice("auto", "replica", "static"),
            "What the backups are: a full second app, or files only; auto knows the usual hosts of files.",
        ),
    ] = "auto"
    primary: Annotated[Target, Facts(Group.EVERYDAY, TARGET, "Address of your app.", ("PRIMARY_URL",))]
    backup: Annotated[
        tuple[Target, ...],
        Facts(
            Group.EVERYDAY,
            TARGET,
            "Address that answers when the primary does not; give several and the first healthy one wins.",
            ("BACKUP_URL",),
            separator=_BETWEEN_URLS,
        ),
    ]
    check_interval: Annotated[
        float,
        Facts(Group.EVERYDAY, duration(0.01, _HOUR), "Time between two probes of the primary.", ("CHECK_INTERVAL",)),
    ] = 2.0
    fail_threshold: Annotated[
        int,
        Facts(Group.EVERYDAY, whole(1, 100), "Failures in a row before the backup serves.", ("FAIL_THRESHOLD",)),
    ] = 3
    recover_threshold: Annotated[
        int,
        Facts(
            Group.EVERYDAY,
            whole(1, 100),
            "Good probes in a row before the primary serves again.",
            ("RECOVER_THRESHOLD",),
        ),
    ] = 2
    max_body: Annotated[
        int, Facts(Group.EVERYDAY, size(1, 10**12), "Largest request body that is let through.", ("MAX_BODY",))
    ] = 10_000_000
    config: Annotated[
        Path | None, Facts(Group.EVERYDAY, places.FILE, "YAML file to read settings from.", in_file=False)
    ] = None
    json_logs: Annotated[
        bool, Facts(Group.EVERYDAY, SWITCH, "Log one JSON object a line, with ECS names.", ("JSON_LOGS",))
    ] = False
    webhook_url: Annotated[
        tuple[str, ...],
        Facts(
            Group.EVERYDAY,
            places.WEBHOOK,
            "Address that incidents are told to: Slack, Discord, Teams, PagerDuty, any webhook, one of Apprise's.",
            ("WEBHOOK_URL",),
            secret=True,
            separator=_BETWEEN_URLS,
        ),
    ] = Field(default=(), repr=False)
    webhook_format: Annotated[
        tuple[str, ...],
        Facts(
            Group.EVERYDAY,
            choice("auto", "slack", "slack-bot", "discord", "teams", "pagerduty", "generic", "apprise"),
            "What the webhook understands; auto goes by its address. One for all, or one for each address, in order.",
            ("WEBHOOK_FORMAT",),
            separator=_BETWEEN_WORDS,
            shown_default="auto",
        ),
    ] = ("auto",)

    check_path: Annotated[
        str | None, Facts(Group.PROBES, places.PATH, "Path to probe on the primary, instead of its own address.")
    ] = None
    check_timeout: Annotated[float, Facts(Group.PROBES, duration(0.01, 300), "Longest time that a probe may take.")] = (
        2.0
    )
    check_expect: Annotated[
        tuple[StatusRange, ...] | None,
        Facts(
            Group.PROBES,
            places.STATUSES,
            "Statuses of a good probe, as 200-299,401.",
            shown_default="200-399 with a check path, below 500 without",
        ),
    ] = None
    check_method: Annotated[str, Facts(Group.PROBES, choice("GET", "HEAD"), "Method of a probe.")] = "GET"
    backup_check_interval: Annotated[
        float, Facts(Group.PROBES, duration(0.01, _DAY), "Time between two probes of a backup.")
    ] = 15.0

    connect_timeout: Annotated[
        float, Facts(Group.TIMEOUTS, duration(0.01, 300), "Longest time to connect to a target, TLS included.")
    ] = 1.0
    first_byte_timeout: Annotated[
        float, Facts(Group.TIMEOUTS, duration(0.01, _HOUR), "Longest wait for the head of a target's response.")
    ] = 15.0
    idle_timeout: Annotated[
        float,
        Facts(
            Group.TIMEOUTS,
            duration(0.01, _DAY),
            "Longest silence within a body, and longest life of a connection that nobody uses.",
        ),
    ] = 60.0
    head_timeout: Annotated[
        float,
        Facts(Group.TIMEOUTS, duration(0.01, 600), "Longest time that a client may take to send a request's head."),
    ] = 10.0
    min_rate: Annotated[
        int,
        Facts(
            Group.TIMEOUTS,
            size(0, 10**9),
            "Fewest bytes a second of a body, or taken of an answer, on the average of an idle time-out; 0: any.",
        ),
    ] = 240
    drain_timeout: Annotated[
        float, Facts(Group.TIMEOUTS, duration(0, _HOUR), "Longest wait for open requests when stopping or reloading.")
    ] = 30.0

    failback: Annotated[
        str,
        Facts(
            Group.TRAFFIC,
            choice("auto", "manual"),
            "How the primary gets its visitors back: by itself, or when a person says so (failover switch primary).",
        ),
    ] = "auto"
    observe: Annotated[
        bool,
        Facts(Group.TRAFFIC, SWITCH, "Decide and tell, but switch nothing; requests are rescued all the same."),
    ] = False
    ramp_step: Annotated[
        float,
        Facts(
            Group.TRAFFIC,
            duration(0, _HOUR),
            "Length of each step in which a recovered primary gets 5, 25, 50, 100 % of the visitors; 0: all at once.",
        ),
    ] = 2.0
    hold_writes: Annotated[
        float,
        Facts(
            Group.TRAFFIC,
            duration(0, 300),
            "Longest time that a write waits for the primary when nobody else can take it; 0: no time.",
        ),
    ] = 10.0
    rescue: Annotated[bool, Facts(Group.TRAFFIC, SWITCH, "Answer a request from the next target when one fails.")] = (
        True
    )
    host: Annotated[
        str,
        Facts(
            Group.TRAFFIC,
            places.HOST,
            "Host header sent to targets: the client's, the target's, a name of yours, or by the kind of target.",
        ),
    ] = "auto"
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Facts(
            Group.TRAFFIC,
            places.NETWORK,
            "Networks of proxies before this one, whose X-Forwarded headers are kept; private and loopback are names.",
            separator=_BETWEEN_WORDS,
        ),
    ] = ()
    upstream_ca: Annotated[
        Path | None,
        Facts(
            Group.TRAFFIC,
            places.CERTIFICATE_FILE,
            "PEM file of the authorities that https targets are verified against.",
            shown_default="the system's store",
        ),
    ] = None

    tls_cert: Annotated[
        Path | None,
        Facts(
            Group.TLS,
            places.CERTIFICATE_FILE,
            "PEM file of the certificate that clients are shown, its chain behind it: clients then speak https here.",
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Facts(Group.TLS, KEY_FILE, "PEM file of its key, unencrypted.", shown_default="the file of the certificate"),
    ] = Field(default=None, validate_default=True)

    workers: Annotated[
        int,
        Facts(
            Group.PROCESS,
            whole(1, 64, auto=True),
            "Processes that carry traffic.",
            shown_default="auto: one a core, at most 4",
        ),
    ] = Field(default_factory=machine.default_workers)
    max_connections: Annotated[
        int,
        Facts(
            Group.PROCESS,
            whole(1, 1_000_000, auto=True),
            "Most client connections at a time.",
            shown_default="auto: what the limit of open files allows",
        ),
    ] = Field(default_factory=lambda known: machine.default_connections(known.get("workers", 1)))
    user: Annotated[
        User | None,
        Facts(
            Group.PROCESS,
            USER,
            "User that root hands controller and workers to, once the ports are bound; root: to nobody.",
            shown_default="started as root: workers become nobody, the controller stays",
        ),
    ] = None

    max_connections_per_client: Annotated[
        int,
        Facts(
            Group.PROCESS,
            whole(1, 1_000_000, off=True),
            "Most connections of one client, an IPv4 address or a /64 of IPv6; a trusted proxy may have any number.",
        ),
    ] = 0
    state_dir: Annotated[
        Path | None,
        Facts(
            Group.INCIDENTS,
            places.STATE_DIR,
            "Folder for incidents, deliveries and the verdict, which outlive the proxy; memory: keep nothing.",
            shown_default="$STATE_DIRECTORY, or by port in /var/lib/failover (root) or ~/.local/state/failover",
        ),
    ] = None
    public_url: Annotated[
        str | None,
        Facts(Group.INCIDENTS, places.PUBLIC_URL, "Where people reach the pages of this proxy: reports link there."),
    ] = None
    keep_incidents: Annotated[
        float, Facts(Group.INCIDENTS, duration(_DAY, 3660 * _DAY), "How long incidents that are over are kept.")
    ] = 90 * _DAY
    slo: Annotated[
        float,
        Facts(
            Group.INCIDENTS,
            percent(0, 100),
            "Share of requests, in percent, that you want to succeed: what the error budget is counted against.",
        ),
    ] = 99.9
    webhook_secret: Annotated[
        tuple[str, ...],
        Facts(
            Group.INCIDENTS,
            places.WEBHOOK_SECRET,
            "Key that generic webhooks are signed with (Standard Webhooks); two while you change it.",
            secret=True,
            separator=_BETWEEN_WORDS,
        ),
    ] = Field(default=(), repr=False)

    admin_token: Annotated[
        str | None,
        Facts(
            Group.ADMIN,
            places.ADMIN_TOKEN,
            "Password of dashboard, API and metrics; with it they answer under /__failover/ on the public port too.",
            secret=True,
        ),
    ] = Field(default=None, repr=False)
    admin_listen: Annotated[
        Listen | None,
        Facts(
            Group.ADMIN,
            places.ADMIN_LISTEN,
            "Address of dashboard, API and metrics; off: none. Beyond this machine it needs a token.",
            shown_default="127.0.0.1:8081, if it is free",
        ),
    ] = None

    public_state: Annotated[
        str,
        Facts(Group.TELLING, choice("full", "minimal", "off"), "How much /__failover/state tells on the public port."),
    ] = "full"
    access_log: Annotated[bool, Facts(Group.TELLING, SWITCH, "Log one line for each request, at level info.")] = False
    log_level: Annotated[
        str, Facts(Group.TELLING, choice("debug", "info", "warning", "error"), "Least level that is logged.")
    ] = "info"

    @field_validator("admin_listen")
    @classmethod
    def _guarded(cls, listen: Listen | None, info: ValidationInfo) -> Listen | None:
        if "admin_token" in info.data:
            places.refuse_unguarded(listen, info.data["admin_token"])
        return listen

    @field_validator("tls_key")
    @classmethod
    def _pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (certificate := info.data.get("tls_cert")) is not None:
            try:
                server_tls(certificate, key)
            except ValueError as error:
                about = "tls_cert" if key is None else "tls_key"
                raise PydanticCustomError("pair", "do not fit", {"error": str(error), "about": about}) from None
        elif key is not None and "tls_cert" in info.data:
            raise ValueError("is of no use without a certificate; name its file with --tls-cert")
        return key

    @field_validator("webhook_format")
    @classmethod
    def _one_for_each(cls, formats: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        addresses = len(info.data.get("webhook_url", ()))
        if len(formats) > 1 and len(formats) != addresses:
            raise ValueError(
                f"names {len(formats)} formats for {addresses} webhook addresses; give one for all, or one for each"
            )
        return formats or ("auto",)

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        key = info.field_name or ""
        field = cls.model_fields[key]
        if field.default_factory is not None and isinstance(value, str) and value.strip().lower() == "auto":
            return field.get_default(call_default_factory=True, validated_data=info.data)
        facts = facts_of(field)
        if facts.separator is None:
            return _parse(key, facts.form, value, info.data)
        results, wrong = [], []
        for place, text in enumerate(value):
            try:
                results.append(_parse(key, facts.form, text, info.data, place))
            except ValueError as error:
                wrong.append((place, str(error)))
        if wrong:
            raise PydanticCustomError("items", "several values are wrong", {"items": wrong})
        # A word such as `private` stands for several networks.
        return tuple(chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in results))


def _parse(key: str, form: Form, value: Any, known: Mapping[str, Any], place: int = 0) -> Any:
    """One text to its value; anything but a text is a value already. `known` holds the valid fields before this one."""
    if not isinstance(value, str):
        return value
    if form is not TARGET:
        return form.parse(value)
    alias = "primary" if key == "primary" else "backup" if place == 0 else f"backup-{place + 1}"
    return places.target_among(value, alias, known)
