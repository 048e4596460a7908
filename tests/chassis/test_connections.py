"""Secrets come from files, and nothing about a connection is left half said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_chassis.connections import database_tls, kafka_options, kafka_security
from coterie_chassis.errors import ConfigurationFault, is_transient
from coterie_chassis.settings import ChassisSettings, load
from coterie_chassis.store import Database
from coterie_recognition.settings import RecognitionSettings

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(autouse=True)
def needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP": "kafka:9093",
        "JWKS": "unused",
        "TOKEN_ISSUER": "unused",
        "DATABASE_URL": "postgresql://role@host/database",
    }.items():
        monkeypatch.setenv(f"COTERIE_{name}", value)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that certifies itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "coterie-sample")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "user.crt", tmp_path / "user.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def given(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"COTERIE_{name.upper()}", str(value))


def test_secrets_are_read_from_files_and_a_variable_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "coterie_database_url").write_text("postgresql://from@file/database\n")
    (tmp_path / "COTERIE_CODE_KEYS").write_text(f'{{"one": "{KEY}"}}')
    monkeypatch.setenv("COTERIE_SECRETS_DIR", str(tmp_path))
    assert load(RecognitionSettings).database_url.get_secret_value().startswith("postgresql://role")
    monkeypatch.delenv("COTERIE_DATABASE_URL")
    settings = load(RecognitionSettings)
    assert settings.database_url.get_secret_value() == "postgresql://from@file/database"
    assert list(settings.raw_keys()) == ["one"]


def test_a_secrets_folder_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COTERIE_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigurationFault, match="COTERIE_SECRETS_DIR: there is no folder"):
        load(ChassisSettings)


def test_plaintext_is_the_default() -> None:
    settings = load(ChassisSettings)
    assert kafka_security(settings) is None
    assert kafka_options(settings) == {}
    assert database_tls(settings) is None


def test_mutual_tls_is_three_files(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
) -> None:
    given(
        monkeypatch,
        kafka_security_protocol="SSL",
        kafka_ca_file=certificate[0],
        kafka_certificate_file=certificate[0],
        kafka_key_file=certificate[1],
        database_ca_file=certificate[0],
    )
    settings = load(ChassisSettings)
    options = kafka_options(settings)
    assert options["security_protocol"] == "SSL"
    for context in (options["ssl_context"], database_tls(settings)):
        assert context is not None
        assert context.check_hostname
        assert [c["subject"] for c in context.get_ca_certs()] == [
            ((("commonName", "coterie-sample"),),)
        ]


def test_a_name_and_a_password_over_tls(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "coterie_kafka_password").write_text("from a file")
    given(
        monkeypatch,
        kafka_security_protocol="SASL_SSL",
        kafka_ca_file=certificate[0],
        kafka_username="sample",
        secrets_dir=secrets,
    )
    options = kafka_options(load(ChassisSettings))
    assert {name: value for name, value in options.items() if name != "ssl_context"} == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "sample",
        "sasl_plain_password": "from a file",
    }
    assert options["ssl_context"].check_hostname


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka_ca_file": "x"}, "certificates need SSL or SASL_SSL"),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_file": "x"},
            "COTERIE_KAFKA_CERTIFICATE_FILE and COTERIE_KAFKA_KEY_FILE come together",
        ),
        ({"kafka_username": "x", "kafka_password": "x"}, "go with SASL_SSL or SASL_PLAINTEXT"),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_username": "x"},
            "COTERIE_KAFKA_USERNAME and COTERIE_KAFKA_PASSWORD go",
        ),
        ({"kafka_security_protocol": "TLS"}, "COTERIE_KAFKA_SECURITY_PROTOCOL: Input should be"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    given(monkeypatch, **settings)
    with pytest.raises(ConfigurationFault, match=said):
        load(ChassisSettings)


def test_files_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    given(monkeypatch, kafka_security_protocol="SSL", kafka_ca_file=tmp_path / "none")
    with pytest.raises(ConfigurationFault, match=r"COTERIE_KAFKA_CA_FILE .*none: No such file"):
        kafka_security(load(ChassisSettings))

    (tmp_path / "text").write_text("no certificate")
    given(monkeypatch, database_ca_file=tmp_path / "text")
    with pytest.raises(ConfigurationFault, match=r"COTERIE_DATABASE_CA_FILE .*text: "):
        database_tls(load(ChassisSettings))

    given(
        monkeypatch,
        kafka_ca_file=certificate[0],
        kafka_certificate_file=certificate[0],
        kafka_key_file=tmp_path / "text",
    )
    with pytest.raises(ConfigurationFault, match=r"COTERIE_KAFKA_KEY_FILE .*text: "):
        kafka_security(load(ChassisSettings))


async def test_a_socket_that_is_gone_is_a_database_that_is_away(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/none?host={tmp_path}", service="sample")

    with pytest.raises(ConnectionError, match="the database is away") as away:
        async with database.begin():
            pass
    await database.close()

    assert is_transient(away.value)
