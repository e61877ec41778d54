"""Authorities, certificates and kubeconfigs of a cluster: new at each start, gone with it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from af_hub.embedded.certificates import begin_certificate, key_usage

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.kube.settings import Settings

LIFETIME: Final = dt.timedelta(days=30)

ENFORCER: Final = "analysis-facility:policies"
"""The user that reads NetworkPolicies."""


@dataclass(frozen=True)
class Authority:
    """What signs certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(settings: Settings) -> None:
    """Write every key, certificate and kubeconfig of a new cluster."""
    folder = settings.pki
    folder.mkdir(mode=0o700)
    authority = _authority(folder, "ca")
    front = _authority(folder, "front-ca")
    _leaf(
        folder,
        "apiserver",
        authority,
        common="kube-apiserver",
        alternatives=(
            *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
            *("kubernetes.default.svc.cluster.local", "localhost"),
            *("127.0.0.1", settings.api_ip, settings.node_ip),
        ),
    )
    node = f"system:node:{settings.node}"
    _leaf(
        folder,
        "kubelet-serving",
        authority,
        common=node,
        group="system:nodes",
        alternatives=(settings.node, settings.node_ip, "127.0.0.1"),
    )
    masters = "system:masters"
    serving = "metrics-server.kube-system.svc"
    _leaf(folder, "metrics-serving", authority, common=serving, alternatives=(serving,))
    _leaf(folder, "apiserver-kubelet-client", authority, common="apiserver", group=masters)
    _leaf(folder, "front-proxy-client", front, common="front-proxy-client")
    _leaf(folder, "admin", authority, common="admin", group=masters)
    _leaf(folder, "kubelet", authority, common=node, group="system:nodes")
    for name in ("controller-manager", "scheduler", "proxy"):
        _leaf(folder, name, authority, common=f"system:kube-{name}")
    _leaf(folder, "policies", authority, common=ENFORCER)
    _leaf(folder, "metrics", authority, common="analysis-facility:metrics")
    _leaf(folder, "kwok", authority, common="analysis-facility:kwok")
    for name in ("kubelet", "controller-manager", "scheduler", "proxy", "metrics", "kwok"):
        _kubeconfig(settings, name, folder / f"{name}.kubeconfig")
    signer = ec.generate_private_key(ec.SECP256R1())
    _write(folder / "sa.key", _key_text(signer))
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(folder / "sa.pub", public.decode())
    _kubeconfig(settings, "admin", settings.kubeconfig)


def _authority(folder: Path, name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        begin_certificate(subject, subject, key, dt.datetime.now(dt.UTC), LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _store(folder, name, certificate, key)
    return Authority(certificate, key)


def _leaf(
    folder: Path,
    name: str,
    authority: Authority,
    *,
    common: str,
    group: str | None = None,
    alternatives: tuple[str, ...] = (),
) -> None:
    """Write a certificate: of a server if it has names or addresses, else of a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    usage = ExtendedKeyUsageOID.SERVER_AUTH if alternatives else ExtendedKeyUsageOID.CLIENT_AUTH
    begun = (
        begin_certificate(
            x509.Name(parts), authority.certificate.subject, key, dt.datetime.now(dt.UTC), LIFETIME
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        # Python 3.13 verifies strictly (RFC 5280)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                authority.certificate.public_key()  # type: ignore[arg-type]
            ),
            critical=False,
        )
    )
    if alternatives:
        names = x509.SubjectAlternativeName([_general_name(each) for each in alternatives])
        begun = begun.add_extension(names, critical=False)
    _store(folder, name, begun.sign(authority.key, hashes.SHA256()), key)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _store(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    _write(folder / f"{name}.key", _key_text(key))
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    _write(folder / f"{name}.crt", text)


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")


def _kubeconfig(settings: Settings, name: str, target: Path) -> None:
    """Write a kubeconfig that needs no other file. JSON is YAML."""

    def data(file: str) -> str:
        return base64.b64encode((settings.pki / file).read_bytes()).decode()

    here = settings.name
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": here,
        "clusters": [
            {
                "name": here,
                "cluster": {
                    "server": settings.server,
                    "certificate-authority-data": data("ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": data(f"{name}.crt"),
                    "client-key-data": data(f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": here, "context": {"cluster": here, "user": name}}],
    }
    target.unlink(missing_ok=True)
    _write(target, json.dumps(document, indent=1) + "\n")
