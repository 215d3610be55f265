"""One look at each kind of bad certificate, at a real server; and what is seen where there is none."""

import asyncio
import datetime as dt
import hashlib
import ssl

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from failover.controller.describe import Reader, covers, describe
from failover.dial import client_tls
from failover.faults import translate
from support.flaws import FLAWS, HOST, Flawed
from support.tls import self_signed

LONG = 30.0
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)


class Server:
    """Shakes hands with whoever comes; `heard` is what it was told over TLS."""

    def __init__(self, context):
        self.context = context
        self.heard = bytearray()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.addresses = (("127.0.0.1", self.server.sockets[0].getsockname()[1]),)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        try:
            while piece := await reader.read(1000):
                self.heard += piece
        except OSError:
            pass
        finally:
            writer.close()


def issued(*names, **dates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(*names, common_name=names[0], **dates).configure_cert(context)
    return context


def clumsy(folder, name):
    """A certificate that has a name nowhere but in its subject, and is good for e-mail only."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(purpose, critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "clumsy.pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def look(context, host="app.example", within=LONG):
    async with Server(context) as server:
        seen = await describe(asyncio.get_running_loop(), server.addresses, host, within)
        assert not server.heard
    return seen


async def test_expired():
    seen = await look(issued("app.example", not_before=NOW - 9 * DAY, not_after=NOW - DAY))
    assert seen.issue == "expired"
    assert (seen.not_before, seen.not_after) == (NOW - 9 * DAY, NOW - DAY)


async def test_not_yet_valid():
    seen = await look(issued("app.example", not_before=NOW + DAY, not_after=NOW + 9 * DAY))
    assert seen.issue == "not yet valid"
    assert seen.not_before == NOW + DAY


async def test_wrong_name():
    seen = await look(issued("other.example", "*.other.example", "127.0.0.1"))
    assert seen.issue == "wrong name"
    assert seen.subject == "other.example"
    assert seen.names == ("other.example", "*.other.example", "127.0.0.1")


async def test_self_signed(tmp_path):
    seen = await look(self_signed(tmp_path, "app.example"))
    assert (seen.issue, seen.subject, seen.issuer) == ("self-signed", "app.example", "app.example")


async def test_unknown_authority():
    seen = await look(issued("app.example"))
    assert seen.issue == "unknown authority"
    assert "trustme" in seen.issuer
    assert len(seen.sha256) == 64


@pytest.mark.parametrize("flaw", FLAWS)
async def test_each_flaw_is_told_as_what_it_is(tmp_path, flaw):
    """By its handshake and by the look at it together."""
    flawed = Flawed(tmp_path)
    loop = asyncio.get_running_loop()
    async with Server(flawed.server(flaw)) as server:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            await loop.create_connection(
                asyncio.Protocol, *server.addresses[0], ssl=client_tls(flawed.pem), server_hostname=HOST
            )
        words = translate(refused.value, connecting=True).detail
        seen = await describe(loop, server.addresses, HOST, LONG, words)
        assert not server.heard
    assert FLAWS[flaw] in seen.issue


async def test_an_address_is_a_name_too():
    assert (await look(issued("127.0.0.1"), "127.0.0.1")).issue == "unknown authority"
    assert (await look(issued("127.0.0.2"), "127.0.0.1")).issue == "wrong name"


async def test_what_cannot_be_decoded_has_its_fingerprint(tmp_path):
    context = clumsy(tmp_path, "app.example")
    seen = await look(context)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "clumsy.pem").read_text().partition("-----BEGIN PRIVATE")[0])
    assert seen.sha256 == hashlib.sha256(der).hexdigest()
    assert (seen.subject, seen.issue) == ("", "")


async def test_another_certificate_at_the_second_look_is_not_taken_for_the_first():
    shown, other = issued("one.example"), issued("two.example")
    looks = []

    def choose(connection, name, _context):
        looks.append(name)
        if len(looks) == 2:
            connection.context = other

    shown.sni_callback = choose
    seen = await look(shown, "one.example")
    assert looks == ["one.example"] * 2
    assert (len(seen.sha256), seen.names, seen.issue) == (64, (), "")


async def talks(say):
    """What is seen of a server that does `say` with each connection."""

    async def serve(reader, writer):
        await say(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        addresses = (("127.0.0.1", server.sockets[0].getsockname()[1]),)
        return await describe(asyncio.get_running_loop(), addresses, "app.example", 0.2)


async def test_no_tls_is_nothing_to_describe():
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    assert await talks(plain) is None


async def test_a_server_that_hangs():
    async def hang(reader, _writer):
        while await reader.read(1000):
            pass

    assert await talks(hang) is None


async def test_a_server_that_closes():
    async def close(_reader, _writer):
        pass

    assert await talks(close) is None


async def test_nobody_there():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    assert await describe(asyncio.get_running_loop(), (address,), "app.example", LONG) is None


@pytest.mark.parametrize(
    ("name", "host", "does"),
    [
        ("shop.example", "shop.example", True),
        ("Shop.Example", "shop.example.", True),
        ("*.shop.example", "a.shop.example", True),
        ("*.shop.example", "shop.example", False),
        ("*.shop.example", "a.b.shop.example", False),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("127.0.0.1", "localhost", False),
    ],
)
def test_which_names_cover_a_host(name, host, does):
    assert covers(name, host) is does


def test_each_certificate_is_decoded_once():
    class Shown:
        decoded = 0

        def __init__(self, der):
            self.der = der

        def getpeercert(self, *, binary_form=False):
            if binary_form:
                return self.der
            Shown.decoded += 1
            return {"subject": ((("commonName", "a\nb"),),), "notAfter": "Nov 23 14:13:20 2026 GMT"}

    class Transport:
        def __init__(self, der):
            self.shown = Shown(der)

        def get_extra_info(self, name):
            return {"ssl_object": self.shown}.get(name)

    reader = Reader()
    first = reader.read(Transport(b"one"))
    assert first == reader.read(Transport(b"one"))
    assert (first.subject, first.not_after) == ("ab", dt.datetime(2026, 11, 23, 14, 13, 20, tzinfo=dt.UTC))
    assert Shown.decoded == 1
    for number in range(100):
        reader.read(Transport(b"%d" % number))
    assert len(reader._known) <= 16
    assert reader.read(None) is None
