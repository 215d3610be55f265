"""Addresses, networks, files and the parts of HTTP that a setting can name."""

from __future__ import annotations

import base64
import ipaddress
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failover.settings.secret import MASK, mask_text, mask_webhook, mask_wrong
from failover.settings.types import Form, Listen, did_you_mean, quoted
from failover.targets import parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failover.core.model import Target

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
StatusRange = tuple[int, int]

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_AUTHORITY = re.compile(rf"([^@\s]*@)?({_HOST.pattern}\.?|\[[0-9A-Fa-f:.]+\])(:\d{{1,5}})?")

# Places


def parse_listen(text: str) -> Listen:
    """An address to listen on: `host:port`, `[::]:8080`, `:8080` or `8080`."""
    word = text.strip()
    if "://" in word:
        raise ValueError(f"{quoted(word)} has a scheme; an address to listen on is written as 0.0.0.0:8080")
    host, colon, port = word.rpartition(":")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ValueError(
            f"{quoted(word)} has no port; write it as 0.0.0.0:8080 or 8080"
            if not colon or not port
            else f"{quoted(word)} has a port that is not a number from 0 to 65535"
        )
    return Listen(_listen_host(host, word), int(port))


def _listen_host(host: str, word: str) -> str:
    if host in {"", "*"}:
        return "0.0.0.0"
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in inner:
        if inner == host:
            raise ValueError(f"{quoted(word)} has an IPv6 address without brackets; write it as [::]:8080")
        try:
            return str(ipaddress.IPv6Address(inner))
        except ValueError:
            raise ValueError(f"{quoted(word)} has an IPv6 address that cannot be read") from None
    if re.fullmatch(r"[\d.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"{quoted(word)} has an IPv4 address that cannot be read") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{quoted(word)} has a host that is neither an address nor a name")
    return host.lower()


LISTEN = Form(
    "ADDRESS",
    parse_listen,
    str,
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65535}, {"type": "string", "pattern": r"^\s*\S*\d+\s*$"}]},
)

DEFAULT_ADMIN = Listen("127.0.0.1", 8081)
OFF = Listen("off", 0)
"""The word `off` where an address could stand: no listener."""


def parse_admin_listen(text: str) -> Listen:
    return OFF if text.strip().lower() == "off" else parse_listen(text)


ADMIN_LISTEN = Form(
    "ADDRESS|off", parse_admin_listen, lambda listen: "off" if listen == OFF else str(listen), LISTEN.schema
)


_ANY = frozenset({"0.0.0.0", "::"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def refuse_loop(target: Target, listen: Listen | None) -> None:
    """A target must not be the very address that is listened on."""
    if listen is None or listen.port == 0 or target.port != listen.port:
        return
    here = target.host in _ANY | _LOOPBACK if listen.host in _ANY | _LOOPBACK else target.host == listen.host
    if here:
        raise ValueError(f"{quoted(target.url)} is the address that this proxy listens on ({listen})")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that somebody listens on."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def refuse_unguarded(listen: Listen | None, token: str | None) -> None:
    """What is reached from beyond this machine needs a token."""
    if listen is None or listen == OFF or is_loopback(listen.host) or token:
        return
    raise ValueError(
        f"{quoted(str(listen))} is reached from beyond this machine, and nobody is asked for a token there; "
        "set --admin-token, or listen on 127.0.0.1"
    )


_SHORTEST_TOKEN = 16


def parse_admin_token(text: str) -> str:
    """A password for pages and API. What is wrong is told without it."""
    word = text.strip()
    how = f"take at least {_SHORTEST_TOKEN} letters, digits or signs: openssl rand -hex 24"
    if len(word) < _SHORTEST_TOKEN:
        raise ValueError(f"is too short; {how}")
    if not word.isascii() or not word.isprintable() or " " in word:
        raise ValueError(f"has a character that no header can carry; {how}")
    return word


ADMIN_TOKEN = Form("TOKEN", parse_admin_token, lambda _token: MASK)

_NETWORK_NAMES = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
        "::1/128", "fc00::/7", "fe80::/10",
    ),
}  # fmt: skip


def parse_networks(text: str) -> tuple[Network, ...]:
    """One network (`10.0.0.0/8`), one address, or a name that stands for several: `private`, `loopback`."""
    word = text.strip()
    if word.lower() in _NETWORK_NAMES:
        return tuple(map(ipaddress.ip_network, _NETWORK_NAMES[word.lower()]))
    try:
        return (ipaddress.ip_network(word),)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise ValueError(
            f"{quoted(word)} is not a network; write it as 10.0.0.0/8, 192.168.1.7 or private"
            f"{did_you_mean(word, _NETWORK_NAMES)}"
        ) from None
    raise ValueError(
        f"{quoted(word)} names an address and a network at once; did you mean {meant} or {word.split('/')[0]}?"
    )


NETWORK = Form("NETWORK", parse_networks)


# Parts of HTTP


def parse_statuses(text: str) -> tuple[StatusRange, ...]:
    """Ranges of status codes, both ends included: `200-299,401`, `2xx`."""
    ranges = []
    for part in text.split(","):
        word = part.strip()
        found = re.fullmatch(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?|([1-5])xx", word, re.ASCII | re.IGNORECASE)
        if found is None:
            raise ValueError(f"{quoted(word)} is not a status code or range; write them as 200-299,401 (100 to 599)")
        low, high = (
            (int(found[3]) * 100, int(found[3]) * 100 + 99) if found[3] else (int(found[1]), int(found[2] or found[1]))
        )
        if low > high:
            raise ValueError(f"{quoted(word)} runs backwards; did you mean {high}-{low}?")
        ranges.append((low, high))
    return tuple(ranges)


def write_statuses(ranges: tuple[StatusRange, ...]) -> str:
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


_STATUS = r"([1-5]\d\d(\s*-\s*[1-5]\d\d)?|[1-5][xX][xX])"
STATUSES = Form(
    "CODES",
    parse_statuses,
    write_statuses,
    {
        "anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": rf"^\s*{_STATUS}(\s*,\s*{_STATUS})*\s*$"},
        ]
    },
)


def parse_path(text: str) -> str:
    """A path on a target, with a query or without: `/healthz`."""
    word = text.strip()
    shown = mask_wrong(word)
    if re.search(r"[^\x21-\x7e]|#", word):
        raise ValueError(f"{quoted(shown)} has a character that no path may have; write it as /healthz")
    if not word.startswith("/"):
        hint = "; give the path alone" if "://" in word else f"; did you mean /{shown}?"
        raise ValueError(f"{quoted(shown)} is not a path: it does not start with /{hint}")
    return word


PATH = Form("PATH", parse_path, mask_text, {"type": "string", "pattern": r"^\s*/\S*\s*$"})


def parse_host(text: str) -> str:
    """Which Host a target is sent: `auto`, `client`, `target`, or a name."""
    word = text.strip()
    if word.lower() in {"auto", "client", "target"}:
        return word.lower()
    name, colon, port = word.partition(":")
    if not _HOST.fullmatch(name) or (colon and not re.fullmatch(r"\d{1,5}", port, re.ASCII)):
        raise ValueError(f"{quoted(word)} is not a host; expected auto, client, target or a name such as www.myapp.com")
    return word


HOST = Form("auto|client|target|NAME", parse_host)


# Files and webhooks


def parse_file(text: str) -> Path:
    path = Path(text.strip())
    with suppress(RuntimeError):  # ~somebody, whom nobody knows: the name of a file then
        path = path.expanduser()
    return path


FILE = Form("FILE", parse_file)


def read_pem(text: str) -> tuple[Path, str]:
    """The file that is named, and what stands in it."""
    path = parse_file(text)
    try:
        if not path.is_file() and path.exists():
            raise ValueError(f"{quoted(str(path))} is not a file")
        return path, path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ValueError(f"{quoted(str(path))} cannot be read: {error.strerror or error}") from None


def parse_certificates(text: str) -> Path:
    """A file of certificates in PEM form, read to see that it can be."""
    import ssl  # noqa: PLC0415 - costs each start and health check 10 ms, and few name a file

    path, pem = read_pem(text)
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{quoted(str(path))} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        raise ValueError(f"{quoted(str(path))} holds a certificate that cannot be read") from None
    return path


CERTIFICATE_FILE = Form("FILE", parse_certificates)


def parse_webhook(text: str) -> str:
    """An address to send incident reports to. What is wrong with it is told without it: it is a secret."""
    url = text.strip()
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)\S*", url)
    if found is None:
        raise ValueError("is not an address; expected one such as https://hooks.slack.com/services/…")
    if found[1].lower() in {"http", "https"} and not _AUTHORITY.fullmatch(found[2]):
        raise ValueError(f"starts with {found[1]}:// but has no host that can be read")
    return url


WEBHOOK = Form("URL", parse_webhook, mask_webhook)


def parse_webhook_secret(text: str) -> str:
    """A key of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. What is wrong is told without it."""
    word = text.strip()
    how = "write it as whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)"
    if not word.startswith("whsec_"):
        raise ValueError(f"does not start with whsec_; {how}")
    try:
        key = base64.b64decode(word.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError(f"is not base64 after whsec_; {how}") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"is a key of {len(key)} bytes; {how}")
    return word


WEBHOOK_SECRET = Form("KEY", parse_webhook_secret, lambda _key: f"whsec_{MASK}")


def parse_public_url(text: str) -> str:
    """The address under which people reach the pages of this proxy."""
    url = text.strip().rstrip("/")
    found = re.fullmatch(r"(https?)://([^/?#@]*)(/[^\s?#]*)?", url, re.IGNORECASE)
    if found is None or not _AUTHORITY.fullmatch(found[2]):
        raise ValueError(f"{quoted(mask_wrong(url))} is not an address of pages; write it as https://status.myapp.com")
    return url


PUBLIC_URL = Form("URL", parse_public_url)


def parse_state_dir(text: str) -> Path:
    """A folder, or the word `memory`."""
    path = parse_file(text)
    if path.exists() and not path.is_dir() and str(path) != MEMORY:
        raise ValueError(f"{quoted(str(path))} is a file; expected a folder, or the word {MEMORY}")
    return path


MEMORY = "memory"
STATE_DIR = Form("FOLDER", parse_state_dir)


def _display(target: Target) -> str:
    """The address with its secrets masked, so that one sees that there are some."""
    url = target.url.replace("://", f"://{MASK}@", 1) if target.authorization else target.url
    return f"{url}?{MASK}" if target.query else url


TARGET = Form("URL", lambda text: parse_target(text, "primary"), _display)


def target_among(text: str, alias: str, known: Mapping[str, Any]) -> Target:
    """The address of a target that will be called `alias`, held against what else is `known` to be right."""
    kind = known.get("backup_kind", "auto") if alias != "primary" else "auto"
    target = parse_target(text, alias, kind)
    refuse_loop(target, known.get("listen"))
    primary = known.get("primary")
    if primary is not None and replace(target, alias="", kind=primary.kind) == replace(primary, alias=""):
        raise ValueError(f"{quoted(target.url)} is the primary; a backup must be another place")
    return target
