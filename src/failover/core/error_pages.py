# ruff: noqa: E501 - a page stands best in one line
"""Whose error page it is: that of a hosting platform, of a proxy or CDN before the app, or of the app itself.

Each row of the table is one page as it is known in the field: by its status, by headers, by words in its text. The
first row that fits wins, so a page that says more stands above one that says less. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_GATEWAY = frozenset({502, 503, 504})
_SERVER_ERROR = frozenset(range(500, 600))


@dataclass(frozen=True, slots=True)
class Page:
    """An error page that the app did not write: `who` did, `says` is what it means, `check` what to look at."""

    who: str
    platform: bool
    says: str
    check: str


@dataclass(frozen=True, slots=True)
class _Row:
    who: str
    says: str
    check: str
    statuses: frozenset[int] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    platform: bool = True

    def fits(self, status: int, headers: Mapping[str, str], body: str) -> dict[str, str] | None:
        """The words found by name, or None."""
        words: dict[str, str] = {}
        if self.statuses and status not in self.statuses:
            return None
        for name, wanted in self.headers.items():
            found = re.search(wanted, headers.get(name, ""), re.IGNORECASE)
            if found is None:
                return None
            words |= found.groupdict("")
        if self.body:
            found = re.search(self.body, body.strip(), re.IGNORECASE | re.MULTILINE)
            if found is None:
                return None
            words |= found.groupdict("")
        return words


_HEROKU = "Run heroku ps and heroku logs --tail: the code of the error (H10, H12, R14 …) is in the log."
_VERCEL = "Look up the error code in Vercel's list, and read the log of the deployment."
_FLY = "Run fly status and fly logs: does a machine run, pass its checks and listen on internal_port?"
_RENDER = "Look at the events and the log of the service in Render's dashboard: does it run, or is it suspended?"
_RAILWAY = "Read the log of the last deployment: does the app run, and does it listen on 0.0.0.0 and $PORT?"
_NETLIFY = "Look at the site and the log of its functions in Netlify's dashboard."
_ALB = "Look at the health of the target group: which targets are in it, and why are they unhealthy?"
_API_GATEWAY = "Look at the log of the API's stage and of the function or service behind it."
_AZURE = "Look at the app in Azure's portal: is it running, is a quota used up, what does its log stream say?"
_GOOGLE = "Look at the service or the backends in the Google Cloud console: do they run and pass their health checks?"
_BEHIND = "The proxy lives: look at the app behind it, and at the proxy's error log, which names the address it tried."
_CLOUDFLARE = "Cloudflare lives: look at the server behind it."

_EMPTY = r"\A\Z"

_PLATFORMS = (
    _Row("Heroku", "maintenance mode is on", "Run heroku maintenance:off.", body=r"error-pages/maintenance-mode"),
    _Row("Heroku", "there is no app of this name", _HEROKU, body=r"error-pages/no-such-app"),
    _Row(
        "Heroku", "the app crashed, did not start or took too long (H10 to H20)", _HEROKU, frozenset({502, 503}),
        body=r"error-pages/application-error|heroku logs --tail",
    ),
    _Row(
        "Heroku", "the app crashed, did not start or took too long (H10 to H20)", _HEROKU, frozenset({503}),
        {"Server": r"^(heroku|cowboy)$"}, r"^application error",
    ),
    _Row("Vercel", "error code {code}", _VERCEL, headers={"X-Vercel-Error": r"^(?P<code>[A-Z][A-Z_]{3,60})"}),
    _Row(
        "Vercel", "error code {code}", _VERCEL,
        body=r"\b(?P<code>(?:EDGE_)?FUNCTION_INVOCATION_[A-Z]+|DEPLOYMENT_[A-Z_]+|MIDDLEWARE_INVOCATION_[A-Z]+)\b",
    ),
    _Row("Render", "its router says {word}", _RENDER, headers={"X-Render-Routing": r"(?P<word>[\w-]{2,40})"}),
    _Row("Render", "the service is suspended", _RENDER, body=r"this service has been suspended"),
    _Row(
        "Railway", "no app is running for this address", _RAILWAY, frozenset({404}),
        {"X-Railway-Fallback": "true"},
    ),
    _Row("Railway", "the app did not respond", _RAILWAY, headers={"X-Railway-Fallback": "true"}),
    _Row(
        "Railway", "the app did not respond", _RAILWAY,
        headers={"Server": "^railway"}, body=r"application failed to respond|application not found",
    ),
    _Row("Netlify", "there is no site of this name", _NETLIFY, body=r"site not found[\s\S]*netlify"),
    _Row("Netlify", "the site is not available", _NETLIFY, headers={"Server": "^netlify"}, body=r"site not available|usage.exceeded"),
    _Row("Netlify", "a function failed or took too long", _NETLIFY, _GATEWAY, {"Server": "^netlify"}),
    _Row("Fly.io", "no machine of the app could be reached", _FLY, _GATEWAY, {"Server": "^fly/"}, _EMPTY),
    _Row("AWS load balancer", "no target is healthy", _ALB, frozenset({503}), {"Server": "^awselb/"}),
    _Row("AWS load balancer", "the target did not answer in time", _ALB, frozenset({504}), {"Server": "^awselb/"}),
    _Row("AWS load balancer", "the target broke off or gave no valid answer", _ALB, _SERVER_ERROR, {"Server": "^awselb/"}),
    _Row("AWS API Gateway", "error type {type}", _API_GATEWAY, headers={"X-Amzn-ErrorType": r"(?P<type>\w{3,60})"}),
    _Row(
        "AWS API Gateway", "what is behind it failed or took too long", _API_GATEWAY, _SERVER_ERROR,
        {"Apigw-RequestId": "."}, r"^\{\"message\": ?\"(internal server error|service unavailable|endpoint request timed out)",
    ),
    _Row("Azure App Service", "the app is stopped", _AZURE, body=r"(this|the) web app (you have attempted to reach )?is (currently )?stopped"),
    _Row("Azure App Service", "the app did not start", _AZURE, body=r"^:\( application error|diagnostic resources[\s\S]*azure"),
    _Row("Azure Application Gateway", "no backend is healthy", _AZURE, _GATEWAY, body=r"microsoft-azure-application-gateway"),
    _Row("Azure Application Gateway", "no backend is healthy", _AZURE, _GATEWAY, {"Server": "microsoft-azure-application-gateway"}),
    _Row("Azure Front Door", "its origin cannot be reached", _AZURE, _SERVER_ERROR, {"X-Azure-Ref": "."}, r"services aren't available right now"),
    _Row(
        "Google Cloud", "no backend gave an answer", _GOOGLE, _SERVER_ERROR,
        body=r"the server encountered a temporary error and could not complete your request",
    ),
    _Row("Google Cloud", "no backend is healthy", _GOOGLE, _GATEWAY, {"Via": "google"}, r"^no healthy upstream"),
    _Row(
        "Google Cloud Run", "no instance of the service could take it", _GOOGLE, _GATEWAY,
        {"Server": "^google frontend"}, r"^(service unavailable|rate exceeded)\.?$",
    ),
    _Row("DigitalOcean App Platform", "it could not forward the request to the app", "Look at the app's deployment and log.", body=r"app platform failed to forward"),
    _Row("GitHub Pages", "there is no site here", "Look at the settings of the repository's Pages: domain and branch.", body=r"there isn't a github pages site here"),
    _Row("Amazon S3", "there is no such bucket", "Look at the name of the bucket and at what the DNS record points to.", body=r"nosuchbucket|specified bucket does not exist"),
)  # fmt: skip

_CLOUDFLARE_CODES = {
    520: ("the server gave an answer that is none", "Read the server's log: it crashed, or answered with too large headers."),
    521: ("the server refuses its connections", "Is the web server running, and does its firewall let Cloudflare in?"),
    522: ("the server does not accept a connection in time", "Is the host up, and does its firewall let Cloudflare in?"),
    523: ("the server cannot be reached", "Does the DNS record in Cloudflare have the server's address of today?"),
    524: ("the server accepted the request and did not answer in 100 s", "What is the app busy with: load, workers, database?"),
    525: ("the TLS handshake with the server fails", "Look at the certificate and the TLS settings of the server behind Cloudflare."),
    526: ("the server's certificate is not valid", "Renew the certificate of the server behind Cloudflare."),
    527: ("the connection to the server broke", _CLOUDFLARE),
    530: ("the server's name or tunnel is gone", "Look at the DNS record or the tunnel (cloudflared) of the server behind Cloudflare."),
}  # fmt: skip

_PROXIES = (
    *(
        _Row("Cloudflare", says, check, frozenset({code}), platform=False)
        for code, (says, check) in _CLOUDFLARE_CODES.items()
    ),
    _Row("Cloudflare", "the server behind it gave no answer", _CLOUDFLARE, _GATEWAY, {"Server": "^cloudflare"}, r"cloudflare|error code: 50[234]", platform=False),
    _Row("CloudFront", "its origin gave no valid answer", _BEHIND, _SERVER_ERROR, body=r"generated by cloudfront", platform=False),
    _Row("Fastly", "it does not know this name", "Look at the domains of the Fastly service.", body=r"fastly error: unknown domain", platform=False),
    _Row("Varnish", "the server behind it gave no answer", _BEHIND, _SERVER_ERROR, body=r"guru meditation|varnish cache server|backend fetch failed", platform=False),
    _Row("Akamai", "the server behind it gave no answer", _BEHIND, _SERVER_ERROR, {"Server": "^akamaighost"}, platform=False),
    _Row("Apache", "the app behind it gave no valid answer", _BEHIND, frozenset({502}), body=r"proxy server received an invalid response", platform=False),
    _Row("Apache", "it cannot reach the app behind it", _BEHIND, frozenset({503}), body=r"temporarily unable to service your request due to maintenance downtime or capacity", platform=False),
    _Row("Apache", "the app behind it did not answer in time", _BEHIND, frozenset({504}), body=r"gateway did not receive a timely response", platform=False),
    _Row("HAProxy", "no server behind it is up", _BEHIND, frozenset({503}), body=r"no server is available to handle this request", platform=False),
    _Row("HAProxy", "the app behind it gave no valid answer", _BEHIND, frozenset({502}), body=r"server returned an invalid or incomplete response", platform=False),
    _Row("HAProxy", "the app behind it did not answer in time", _BEHIND, frozenset({504}), body=r"server didn't respond in time", platform=False),
    _Row("Envoy", "it cannot reach the app behind it", _BEHIND, _GATEWAY, body=r"^(upstream connect error or disconnect/reset before headers|no healthy upstream)", platform=False),
    _Row("Envoy", "the app behind it did not answer in time", _BEHIND, _GATEWAY, body=r"^(upstream request timeout|stream timeout)", platform=False),
    _Row("Kong", "it cannot reach the app behind it", _BEHIND, _GATEWAY, body=r"invalid response was received from the upstream server|get a peer from the ring-balancer|upstream server is timing out", platform=False),
    _Row("Traefik", "no server behind it is up", _BEHIND, frozenset({503}), body=r"\Ano available server\Z", platform=False),
    _Row("Caddy", "it cannot reach the app behind it", _BEHIND, _GATEWAY, {"Server": "^caddy"}, _EMPTY, platform=False),
    _Row("IIS", "the app's pool is stopped", _BEHIND, frozenset({503}), body=r"http error 503\. the service is unavailable", platform=False),
    _Row("IIS", "the app behind it gave no valid answer", _BEHIND, frozenset({502}), body=r"acting as a gateway or proxy server|http error 502\.\d", platform=False),
    _Row("nginx", "it cannot reach the app behind it, or got no valid answer", _BEHIND, frozenset({502}), body=r"^(nginx|openresty|tengine)(/[\d.]+)?( \(\w+\))?$", platform=False),
    _Row("nginx", "the app behind it did not answer in time", _BEHIND, frozenset({504}), body=r"^(nginx|openresty|tengine)(/[\d.]+)?( \(\w+\))?$", platform=False),
    _Row("nginx", "it is told to answer so, or a limit of its own is reached", "Look at nginx's settings and error log: limit_req, limit_conn, return 503.", frozenset({503}), body=r"^(nginx|openresty|tengine)(/[\d.]+)?( \(\w+\))?$", platform=False),
    _Row("A proxy", "it got no answer from the app behind it", _BEHIND, frozenset({502, 504}), body=r"\A\W*(error )?(502|504)?\W*(bad gateway|gateway time-?out)", platform=False),
)  # fmt: skip


def recognise(status: int, headers: Mapping[str, str], body: str) -> Page | None:
    """Whose page it is, if it is not the app's. `headers` are named as probes name them, `body` is text."""
    for row in (*_PLATFORMS, *_PROXIES):
        words = row.fits(status, headers, body)
        if words is not None:
            return Page(row.who, row.platform, row.says.format_map(words), row.check)
    return None
