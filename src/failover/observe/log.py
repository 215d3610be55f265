"""The log: one line an event, to stderr, for people or (`--json-logs`) for machines; secrets never get into it.

    log = get("controller")
    log.warning("switched to backup", action="failover.switched", reason="connection refused", target="primary")

A line leaves in one write, so the lines of several processes that share stderr do not mix. Whatever happens to stderr,
logging never raises. It works in children forked after `configure`: nothing here holds a lock, a thread or a buffer.
"""

from __future__ import annotations

import json
import logging
import os
import select
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import structlog

from failover import __version__
from failover.settings.secret import MASK, mask_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

_STDERR = 2
_LONGEST_READ = 20_000
_LONGEST_TEXT = 2000  # a line within PIPE_BUF (4096 bytes) is never torn by a pipe

# Our short names to those of the Elastic Common Schema (ECS). What is not listed goes under `failover.`.
_ECS = {
    "action": "event.action",
    "reason": "event.reason",
    "duration": "event.duration",
    "error": "error.type",
    "detail": "error.message",
    "exception": "error.stack_trace",
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "request_id": "http.request.id",
    "bytes_in": "http.request.body.bytes",
    "bytes_out": "http.response.body.bytes",
    "client": "client.address",
    "user_agent": "user_agent.original",
    "trace_id": "trace.id",
    "pid": "process.pid",
    "room": "log.logger",
}
_ECS_VERSION = "8.11.0"
_ACCESS = "access"
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}
_ONLY_FOR_MACHINES = {"action", "room"}
_IN_ACCESS_MESSAGE = {"method", "path", "status"}


def get(room: str) -> FilteringBoundLogger:
    """The log of one room (`controller`, `access`). May be called before `configure`, and outlives another one."""
    return cast("FilteringBoundLogger", structlog.get_logger(room=room))


def configure(
    json_logs: bool,
    level: str = "info",
    secrets: Iterable[str] = (),
    listener: Callable[[EventDict], None] | None = None,
) -> None:
    """Say how and how much to log: `level` is debug, info, warning or error. `secrets` are texts to mask anywhere.

    `listener` gets a copy of each line with an action from level info on, masked, in the thread that logs it.
    """
    least = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _Masking(secrets),
            *([_Listening(listener, least)] if listener is not None else []),
            _as_json if json_logs else _AsText(colour=os.isatty(_STDERR) and not os.environ.get("NO_COLOR")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least if listener is None else min(least, logging.INFO)),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _FromLibraries)]:
        root.removeHandler(handler)
    root.addHandler(_FromLibraries(max(least, logging.WARNING)))


def access(
    *,
    client: str,
    method: str,
    path: str,
    status: int,
    sent_bytes: int,
    duration_s: float,
    target: str,
    request_id: str,
) -> None:
    """One line for one exchange, at level info; the query stays out. `target` is empty where none was asked."""
    path = path.partition("?")[0]
    _access.info(
        f"{method} {path} {status or '-'}",
        action="exchange.done",
        client=client,
        method=method,
        path=path,
        status=status,
        target=target or None,
        duration=duration_s,
        bytes_out=sent_bytes,
        request_id=request_id or None,
    )


class _Stderr:
    """The end of the chain: writes a line."""

    def __init__(self, *_: object) -> None:
        pass

    def _write(self, line: str) -> None:
        rest = line.encode("utf-8", errors="backslashreplace") + b"\n"
        poll = select.poll()
        poll.register(_STDERR, select.POLLOUT)
        try:
            # A pipe that says it can be written to takes PIPE_BUF bytes without waiting (pipe(7)).
            while rest and poll.poll(0):
                rest = rest[os.write(_STDERR, rest[: select.PIPE_BUF]) :]
        except OSError:
            return  # nobody reads, or nobody keeps up: traffic goes on without the line

    debug = info = warning = warn = error = critical = exception = fatal = msg = _write


_access = get(_ACCESS)


class _Masking:
    """Masks the secrets of addresses in every text, and the given texts wherever they stand."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: self._mask(value) for key, value in event.items()}

    def _mask(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {str(key): self._mask(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._mask(one) for one in value]
        text = str(value)[:_LONGEST_READ]  # masking takes time, and some of what is logged is a stranger's
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return mask_text(text)


class _Listening:
    """Somebody else wants to know as well, whatever the level of the log is."""

    def __init__(self, listener: Callable[[EventDict], None], least: int) -> None:
        self._listener = listener
        self._least = least

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event.get("action") and event["level"] != "debug" and event.get("room") != _ACCESS:
            self._listener(dict(event))
        if getattr(logging, event["level"].upper()) < self._least:
            raise structlog.DropEvent
        return event


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    line: dict[str, Any] = {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": event.pop("level"),
        "message": _short(event.pop("event")),
        "ecs.version": _ECS_VERSION,
        "service.name": "failover",
        "service.version": __version__,
        "process.pid": os.getpid(),
    }
    for key, value in event.items():
        if value is None:
            continue
        if key == "duration":
            line[_ECS[key]] = round(value * 1e9)  # ECS counts nanoseconds
        else:
            line[_ECS.get(key, f"failover.{key}")] = value if key == "exception" else _short(value)
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


class _AsText:
    """A line for a person: time, level, what happened, why, and the rest as key=value."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        when = datetime.now().astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
        level, what = event.pop("level"), _plain(event.pop("event"))
        reason, trace = event.pop("reason", None), event.pop("exception", None)
        told = f"{what}: {_plain(reason)}" if reason else what
        hidden = _ONLY_FOR_MACHINES | _IN_ACCESS_MESSAGE if event.get("room") == _ACCESS else _ONLY_FOR_MACHINES
        rest = " ".join(
            f"{key}={_value(key, value)}" for key, value in event.items() if value is not None and key not in hidden
        )
        parts = [self._dim(when), self._paint(level), told, *([self._dim(rest)] if rest else [])]
        return " ".join(parts) + (f"\n{trace}" if trace else "")

    def _paint(self, level: str) -> str:
        return f"\x1b[{_COLOURS[level]}m{level:<7}\x1b[0m" if self._colour else f"{level:<7}"

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._colour else text


def _short(value: Any) -> Any:
    return f"{value[:_LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _plain(value: object) -> str:
    """A text that cannot forge a line or move the cursor."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(_short(str(value))))


def _value(key: str, value: object) -> str:
    if key == "duration" and isinstance(value, float):
        return f"{value:.3f}s"
    text = ",".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


class _FromLibraries(logging.Handler):
    """What asyncio and other libraries say through `logging` becomes a line like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        level = min(logging.CRITICAL, record.levelno // 10 * 10)  # structlog knows no levels between its own
        get(record.name).log(level, message, exc_info=record.exc_info)
