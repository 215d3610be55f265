"""The files that the peers read, and the arguments that name them. `peers.py` says what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "localhost"  # what the certificate of origins is checked for: an address cannot stand in SNI


@dataclass(frozen=True, slots=True)
class Certificates:
    """One certificate for localhost and 127.0.0.1, and the authority behind it."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def chain(self) -> Path:
        return self.folder / "chain.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def both(self) -> Path:
        return self.folder / "both.pem"

    def make(self) -> None:
        import trustme  # noqa: PLC0415 - of the test extra: without it the rows with TLS are left out

        authority = trustme.CA()
        certificate = authority.issue_cert(NAME, "127.0.0.1")
        authority.cert_pem.write_to_path(str(self.authority))
        certificate.private_key_pem.write_to_path(str(self.key))
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(self.chain), append=number > 0)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self.both))


@dataclass(frozen=True, slots=True)
class Work:
    """What a proxy is to do. Addresses are host:port; `origin_tls` names the authority that vouches for them."""

    folder: Path
    port: int
    primary: str
    backup: str
    workers: int = 1
    client_tls: Certificates | None = None
    origin_tls: Certificates | None = None

    def write(self, name: str, text: str) -> str:
        file = self.folder / f"{self.port}-{name}"
        file.write_text(text)
        return str(file)


def nginx_main(folder: Path, name: str, workers: int, http: str) -> str:
    """What the nginx of an origin and that of the table have in common."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{name}-{kind};" for kind in kinds)
    return f"""\
daemon off;
worker_processes {workers};
pid {folder}/{name}.pid;
error_log stderr;
worker_rlimit_nofile 16384;
events {{ worker_connections 16000; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 100000000;
  keepalive_timeout 65s;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:1m;
{temporary}
{http}}}
"""


def nginx(work: Work) -> list[str]:
    tls, scheme = "", "http"
    if work.client_tls:
        tls = f"ssl_certificate {work.client_tls.chain}; ssl_certificate_key {work.client_tls.key};"
    verified = ""
    if work.origin_tls:
        scheme = "https"
        verified = f"""\
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {work.origin_tls.authority};
      proxy_ssl_name {NAME};
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""
    http = f"""\
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream app {{
    server {work.primary} max_fails=3 fail_timeout=2s;
    server {work.backup} backup;
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{work.port}{" ssl" if tls else ""};
    {tls}
    client_max_body_size 0;
    location / {{
      proxy_pass {scheme}://app;
      proxy_http_version 1.1;
      proxy_connect_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-ID $request_id;
{verified}    }}
  }}
"""
    text = nginx_main(work.folder, f"{work.port}-nginx", work.workers, http)
    return ["-c", work.write("nginx.conf", text), "-p", str(work.folder)]


def haproxy(work: Work) -> list[str]:
    bind = f" ssl crt {work.client_tls.both}" if work.client_tls else ""
    verified = ""
    if work.origin_tls:
        verified = f" ssl verify required ca-file {work.origin_tls.authority} sni str({NAME}) check-sni {NAME}"
    text = f"""\
global
  nbthread {work.workers}
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout http-request 10s
  option http-keep-alive
  option forwardfor
  option redispatch
  retries 2
frontend public
  bind 127.0.0.1:{work.port}{bind}
  unique-id-format %[uuid()]
  http-request set-header X-Request-ID %[unique-id] unless {{ req.hdr(X-Request-ID) -m found }}
  http-request set-header X-Forwarded-Proto {"https" if bind else "http"}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  default_backend app
backend app
  http-reuse always
  option httpchk GET /
  server primary {work.primary} check inter 2s fall 3 rise 2{verified}
  server backup {work.backup} check inter 15s backup{verified}
"""
    return ["-db", "-f", work.write("haproxy.cfg", text)]


def caddy(work: Work) -> list[str]:
    shown = f"tls {work.client_tls.chain} {work.client_tls.key}" if work.client_tls else ""
    scheme, verified = "http", ""
    if work.origin_tls:
        scheme, verified = "https", f"tls_server_name {NAME}\n      tls_trust_pool file {work.origin_tls.authority}"
    text = f"""\
{{
  admin off
  persist_config off
  auto_https off
  default_sni {NAME}
  log {{
    level ERROR
  }}
  servers {{
    protocols h1 h2
  }}
}}
{"https" if shown else "http"}://:{work.port} {{
  bind 127.0.0.1
  {shown}
  reverse_proxy {scheme}://{work.primary} {scheme}://{work.backup} {{
    lb_policy first
    lb_retries 2
    lb_try_duration 1s
    health_uri /
    health_interval 2s
    health_fails 3
    health_passes 2
    fail_duration 2s
    max_fails 3
    header_up X-Request-ID {{http.request.uuid}}
    transport http {{
      dial_timeout 1s
      compression off
      keepalive 60s
      keepalive_idle_conns 2048
      keepalive_idle_conns_per_host 1024
      {verified}
    }}
  }}
}}
"""
    return ["run", "--adapter", "caddyfile", "--config", work.write("Caddyfile", text)]


def traefik(work: Work) -> list[str]:
    scheme = "https" if work.origin_tls else "http"
    verified = f"\n      serverName: {NAME}\n      rootCAs: ['{work.origin_tls.authority}']" if work.origin_tls else ""
    shown, router = "", ""
    if work.client_tls:
        router = "\n      tls: {}"
        files = f"certFile: '{work.client_tls.chain}', keyFile: '{work.client_tls.key}'"
        shown = f"tls: {{stores: {{default: {{defaultCertificate: {{{files}}}}}}}}}\n"
    service = """\
    {name}:
      loadBalancer:
        servers: [{{url: '{scheme}://{address}'}}]
        serversTransport: kept
        healthCheck: {{path: /, interval: {every}, timeout: 2s}}
"""
    dynamic = work.write(
        "routes.yaml",
        f"""\
http:
  routers:
    all:
      rule: PathPrefix(`/`)
      entryPoints: [public]
      service: app{router}
  services:
    app: {{failover: {{service: primary, fallback: backup, healthCheck: {{}}}}}}
{service.format(name="primary", scheme=scheme, address=work.primary, every="2s")}\
{service.format(name="backup", scheme=scheme, address=work.backup, every="15s")}\
  serversTransports:
    kept:
      maxIdleConnsPerHost: 1024
      forwardingTimeouts: {{dialTimeout: 1s}}{verified}
{shown}""",
    )
    main = work.write(
        "traefik.yaml",
        f"""\
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
entryPoints:
  public:
    address: 127.0.0.1:{work.port}
providers:
  file: {{filename: '{dynamic}', watch: false}}
""",
    )
    return [f"--configFile={main}"]


def envoy(work: Work) -> list[str]:
    def endpoint(address: str, priority: int) -> str:
        host, port = address.split(":")
        there = f"{{socket_address: {{address: {host}, port_value: {port}}}}}"
        return f"      - {{priority: {priority}, lb_endpoints: [{{endpoint: {{address: {there}}}}}]}}\n"

    kind = "type.googleapis.com/envoy.extensions"
    shown, verified = "", ""
    if work.client_tls:
        chain, key = work.client_tls.chain, work.client_tls.key
        files = f"{{certificate_chain: {{filename: {chain}}}, private_key: {{filename: {key}}}}}"
        shown = f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": {kind}.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {{tls_certificates: [{files}]}}"""
    if work.origin_tls:
        verified = f"""
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {kind}.transport_sockets.tls.v3.UpstreamTlsContext
        sni: {NAME}
        common_tls_context:
          validation_context:
            trusted_ca: {{filename: {work.origin_tls.authority}}}
            match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {NAME}}}}}]"""
    text = f"""\
static_resources:
  listeners:
  - name: public
    address: {{socket_address: {{address: 127.0.0.1, port_value: {work.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {kind}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: public
          use_remote_address: true
          upgrade_configs: [{{upgrade_type: websocket}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {kind}.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_headers_to_add:
              - {{header: {{key: X-Forwarded-Host, value: "%REQ(:AUTHORITY)%"}}}}
              routes:
              - match: {{prefix: /}}
                route:
                  cluster: app
                  timeout: 0s
                  retry_policy: {{retry_on: "connect-failure,reset-before-request", num_retries: 2}}{shown}
  clusters:
  - name: app
    type: STATIC
    connect_timeout: 1s
    circuit_breakers:
      thresholds: [{{max_connections: 8192, max_pending_requests: 8192, max_requests: 8192}}]
    health_checks:
    - timeout: 2s
      interval: 2s
      unhealthy_threshold: 3
      healthy_threshold: 2
      http_health_check: {{path: /}}
    load_assignment:
      cluster_name: app
      endpoints:
{endpoint(work.primary, 0)}{endpoint(work.backup, 1)}{verified.lstrip(chr(10))}
"""
    threads = ["--concurrency", str(work.workers), "--disable-hot-restart"]
    return ["-c", work.write("envoy.yaml", text), *threads, "-l", "error"]
