"""A cluster that asks who calls is told, and half of what is needed is refused."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_replay.cluster import connected
from coterie_replay.connection import client_options
from coterie_replay.faults import ReplayFault


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of 127.0.0.1's that certifies itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    paths = tmp_path / "user.crt", tmp_path / "user.key"
    paths[0].write_bytes(made.public_bytes(encodings[0]))
    paths[1].write_bytes(key.private_bytes(*encodings, serialization.NoEncryption()))
    return str(paths[0]), str(paths[1])


def given(**variables: str) -> dict[str, str]:
    return {f"COTERIE_KAFKA_{name.upper()}": value for name, value in variables.items()}


async def test_a_broker_sees_the_certificate_of_who_calls(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subject"])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    address = "127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    variables = {
        "security_protocol": "SSL",
        "ca_file": certificate[0],
        "certificate_file": certificate[0],
        "key_file": certificate[1],
    }
    for name, value in given(**variables).items():
        monkeypatch.setenv(name, value)
    async with server:
        with pytest.raises(ReplayFault, match="no Kafka answers"):
            async with connected(address):
                pass
    assert seen
    assert seen[0] == ((("commonName", "127.0.0.1"),),)


def test_a_name_and_a_password_go_with_sasl() -> None:
    variables = given(security_protocol="SASL_SSL", username="replay", password="secret")
    options = client_options(variables)
    assert isinstance(options.pop("ssl_context"), ssl.SSLContext)
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "replay",
        "sasl_plain_password": "secret",
    }
    assert client_options({}) == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        (given(security_protocol="TLS"), "COTERIE_KAFKA_SECURITY_PROTOCOL=TLS is none of: PLAIN"),
        (given(ca_file="a"), "CA_FILE has no use with COTERIE_KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        (given(username="a"), "USERNAME has no use with COTERIE_KAFKA_SECURITY_PROTOCOL=PLAIN"),
        (given(security_protocol="SSL", ca_file="/none"), "CA_FILE /none: No such file"),
        (given(security_protocol="SSL", key_file="a"), "_CERTIFICATE_FILE and .* come together"),
        (
            given(security_protocol="SSL", certificate_file="/none", key_file="/none"),
            "CERTIFICATE_FILE /none and .*: No such file",
        ),
        (given(security_protocol="SASL_SSL", username="a"), "PASSWORD is missing: SASL_SSL needs"),
        (
            given(security_protocol="SASL_SSL", sasl_mechanism="GSSAPI", username="a"),
            "SASL_MECHANISM=GSSAPI is none of: SCRAM-SHA-512, ",
        ),
    ],
)
def test_what_is_half_said_is_refused(variables: dict[str, str], fault: str) -> None:
    with pytest.raises(ReplayFault, match=fault):
        client_options(variables)
