"""An Apache Kafka that asks who calls, as Strimzi sets one up: mutual TLS, literal rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_replay.brokers.apache import ApacheKafka

_WAIT_S: Final = 30


class Authority:
    """Certifies the broker and its users, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cluster-ca")])
        self._certificate = self._certify("cluster-ca", self._key, authority=True)
        self.path = folder / "ca.crt"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Path:
        """A folder with `user.crt`, `user.key` and both as `both.pem`, for that common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(name, key).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        folder = self._folder / name
        folder.mkdir()
        (folder / "user.crt").write_bytes(certificate)
        (folder / "user.key").write_bytes(secret)
        (folder / "both.pem").write_bytes(secret + certificate)
        return folder

    def _certify(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        here = [x509.IPAddress(ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            .sign(self._key, hashes.SHA256())
        )


class SecuredKafka(ApacheKafka):
    """Services come in at `tls`; the plain listener is the operator's, who may do everything."""

    def __init__(self, data: Path, authority: Authority) -> None:
        super().__init__(data, advertised={"TLS": "set below"})
        self._authority = authority
        self._own = authority.issue("broker")

    @property
    def tls(self) -> str:
        return self.listeners["TLS"]

    def grant(self, users: Iterable[Mapping[str, Any]]) -> int:
        """Do what Strimzi's user operator does with these KafkaUsers; how many rights."""
        bindings = [
            AclBinding(
                ResourceType[acl["resource"]["type"].upper()],
                acl["resource"]["name"],
                ResourcePatternType[acl["resource"]["patternType"].upper()],
                f"User:CN={user['metadata']['name']}",
                acl.get("host", "*"),
                AclOperation[operation.upper()],
                AclPermissionType[acl["type"].upper()],
            )
            for user in users
            for acl in user["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        ]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_acls(bindings).values():
            done.result(timeout=_WAIT_S)
        return len(bindings)

    def _write_properties(self) -> Path:
        """The last line of a name counts."""
        path = super()._write_properties()
        properties = {
            "advertised.listeners": f"CLIENT://{self.bootstrap},TLS://{self.tls}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._own / "both.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._authority.path,
            "listener.name.tls.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
        }
        with path.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in properties.items())
        return path
