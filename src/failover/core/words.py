"""Errors and times in plain words: each error has one sentence, and logs, pages and reports all use that one."""

from __future__ import annotations

from failover.core.model import ErrorType

SENTENCE: dict[ErrorType, str] = {
    ErrorType.DNS_TIMEOUT: "has a name that no name server answered for",
    ErrorType.DNS_ERROR: "has a name that does not resolve",
    ErrorType.DESTINATION_UNAVAILABLE: "is not available",
    ErrorType.DESTINATION_IP_UNROUTABLE: "has an address that cannot be reached from here",
    ErrorType.CONNECTION_REFUSED: "refused connections",
    ErrorType.CONNECTION_TERMINATED: "closed the connection before it answered",
    ErrorType.CONNECTION_TIMEOUT: "did not accept a connection in time",
    ErrorType.CONNECTION_READ_TIMEOUT: "stopped in the middle of an answer",
    ErrorType.CONNECTION_LIMIT_REACHED: "has as many connections as are allowed to it",
    ErrorType.TLS_PROTOCOL_ERROR: "failed in the TLS handshake",
    ErrorType.TLS_CERTIFICATE_ERROR: "has a certificate that cannot be trusted",
    ErrorType.HTTP_REQUEST_ERROR: "was sent a request that is not valid",
    ErrorType.HTTP_RESPONSE_INCOMPLETE: "cut its answer short",
    ErrorType.HTTP_RESPONSE_TIMEOUT: "accepted the connection but did not answer in time",
    ErrorType.HTTP_PROTOCOL_ERROR: "answered with something that is not valid HTTP",
    ErrorType.HTTP_UPGRADE_FAILED: "did not upgrade the connection",
    ErrorType.PROXY_INTERNAL_ERROR: "could not be asked, for a reason of our own",
    ErrorType.PROXY_LOOP_DETECTED: "leads back to this proxy",
    ErrorType.HTTP_5XX: "answered with a server error",
    ErrorType.HTTP_429: "asked for fewer requests",
    ErrorType.SLOW: "answered too slowly",
    ErrorType.BAD_BODY: "answered with a body that is not the expected one",
}
"""What the target did, to be read after its name: "primary refused connections"."""

CHECK: dict[ErrorType, str] = {
    ErrorType.DNS_TIMEOUT: "Do the name servers of this machine answer, and those of the name?",
    ErrorType.DNS_ERROR: "Is the name spelled right, is its DNS record there, and is the domain paid for?",
    ErrorType.DESTINATION_UNAVAILABLE: "Ask for the check path by hand: is it right, and may a stranger see it?",
    ErrorType.DESTINATION_IP_UNROUTABLE: "Is there a route from this machine to the address: network, VPN, IPv6?",
    ErrorType.CONNECTION_REFUSED: "Is the process running, and does it listen on this port?",
    ErrorType.CONNECTION_TERMINATED: "Read the app's log: did it crash or restart while it was asked?",
    ErrorType.CONNECTION_TIMEOUT: "Is the host up, and does a firewall or security group let this machine in?",
    ErrorType.CONNECTION_READ_TIMEOUT: "What does the app wait for in the middle of an answer: database, disk, lock?",
    ErrorType.CONNECTION_LIMIT_REACHED: "Raise the limit of open files or connections of this machine.",
    ErrorType.TLS_PROTOCOL_ERROR: "Does this port speak TLS 1.2 or newer, and is https the right scheme for it?",
    ErrorType.TLS_CERTIFICATE_ERROR: "Look at the certificate: its dates, its names and who issued it.",
    ErrorType.HTTP_REQUEST_ERROR: "Look at the request: it is not valid HTTP.",
    ErrorType.HTTP_RESPONSE_INCOMPLETE: "Read the app's log: did it crash or run out of memory while it answered?",
    ErrorType.HTTP_RESPONSE_TIMEOUT: "What is the app busy with: look at its load, its workers and its database.",
    ErrorType.HTTP_PROTOCOL_ERROR: "Does an HTTP server listen on this port, and not another service?",
    ErrorType.HTTP_UPGRADE_FAILED: "Does the app, and each proxy before it, let WebSockets through?",
    ErrorType.PROXY_INTERNAL_ERROR: "Look at the load of this machine and at the log of failover itself.",
    ErrorType.PROXY_LOOP_DETECTED: "Give the app's own address as primary, not that of this proxy.",
    ErrorType.HTTP_5XX: "Read the app's log for the errors that it answered with.",
    ErrorType.HTTP_429: "Who sends so many requests, and which limit do they meet?",
    ErrorType.SLOW: "Look at the load of the app and of its database.",
    ErrorType.BAD_BODY: "Open the page: is it the app that answers, or an error page with a good status?",
}
"""What to look at first when the target did it: one sentence each."""


_DETAIL_TELLS_MORE = frozenset(
    {
        ErrorType.BAD_BODY,
        ErrorType.DESTINATION_UNAVAILABLE,
        ErrorType.DNS_ERROR,
        ErrorType.DNS_TIMEOUT,
        ErrorType.HTTP_5XX,
        ErrorType.HTTP_PROTOCOL_ERROR,
        ErrorType.SLOW,
        ErrorType.TLS_CERTIFICATE_ERROR,
        ErrorType.TLS_PROTOCOL_ERROR,
    }
)


def failing(target: str, error: ErrorType | None, detail: str) -> str:
    """`primary refused connections`, `primary answered with a server error: 503`."""
    sentence = f"{target} {SENTENCE[error]}" if error is not None else f"{target} failed"
    return f"{sentence}: {detail}" if detail and error in _DETAIL_TELLS_MORE else sentence


def answered(target: str, probes: int) -> str:
    """`primary answered a probe`, `primary answered 3 probes in a row`."""
    return f"{target} answered {'a probe' if probes == 1 else f'{probes} probes in a row'}"


def count(number: int, noun: str) -> str:
    """`1 probe`, `2 probes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nth(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def lasting(seconds: float) -> str:
    """A duration as a person says it: `40 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 0.0995:
        return f"{round(max(seconds, 0.0) * 1000)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = whole // 60
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
