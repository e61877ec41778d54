"""Certificates of the grid kind, with OpenSSL as the judge."""

from __future__ import annotations

import datetime as dt
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import ensure_pki
from af_hub.embedded.xrootd.authority import slashed, subject_hash, write_authorities
from af_hub.embedded.xrootd.clients import write_client_authorities
from af_hub.embedded.xrootd.grid_pki import (
    GridFiles,
    ensure_grid_pki,
    key_of,
)
from af_hub.embedded.xrootd.proxy_certificate import PROXY_RENEWAL, renew_proxy
from testbed.require import require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def judge() -> None:
    """Skip where there is no OpenSSL program."""
    require("xrootd", shutil.which("openssl"), "the program openssl is missing")


KEY = ec.generate_private_key(ec.SECP256R1())
NOW = dt.datetime.now(dt.UTC)


def self_signed(name: x509.Name) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=1))
        .sign(KEY, hashes.SHA256())
    )


def openssl(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True)
    return done.stdout.decode().strip()


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def files(tmp_path: Path) -> GridFiles:
    made = GridFiles(tmp_path / "grid")
    ensure_grid_pki(made)
    return made


def contents(files: GridFiles) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files.folder.iterdir() if path.is_file()}


TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    common=TEXT,
    organization=st.none() | TEXT,
    components=st.lists(st.from_regex(r"[A-Za-z0-9 -]{1,20}", fullmatch=True), max_size=3),
)
def test_hash_of_a_name_is_openssls(
    common: str, organization: str | None, components: list[str]
) -> None:
    attributes = [x509.NameAttribute(NameOID.DOMAIN_COMPONENT, each) for each in components]
    if organization is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    certificate = self_signed(x509.Name(attributes))
    assert subject_hash(certificate.subject) == openssl(
        "x509", "-noout", "-hash", given=pem(certificate)
    )


def test_openssl_believes_the_certificates_when_they_are_new(files: GridFiles) -> None:
    for path in (files.host, files.service):
        openssl("verify", "-CApath", str(files.trusted), "-x509_strict", str(path))
    with pytest.raises(subprocess.CalledProcessError):
        openssl("verify", "-CApath", str(files.folder), "-no-CAfile", str(files.host))


def test_openssl_believes_the_proxy_when_it_takes_proxies(files: GridFiles) -> None:
    renew_proxy(files)
    chain = ("-CApath", str(files.trusted), "-untrusted", str(files.service))
    openssl("verify", "-allow_proxy_certs", *chain, str(files.proxy))
    proxy = x509.load_pem_x509_certificate(files.proxy.read_bytes())
    # RFC 3820: issued by the service, and named below it
    assert slashed(proxy.issuer) == "/DC=test/DC=af/CN=xcache-service"
    assert slashed(proxy.subject).startswith("/DC=test/DC=af/CN=xcache-service/CN=")
    assert proxy.not_valid_after_utc - dt.datetime.now(dt.UTC) > PROXY_RENEWAL * 3


def test_nothing_changes_when_all_is_good(files: GridFiles) -> None:
    before = contents(files)
    ensure_grid_pki(files)
    assert contents(files) == before


@pytest.mark.parametrize("days", [370, 3640])
def test_certificates_are_renewed_when_they_end_soon(files: GridFiles, days: int) -> None:
    before = contents(files)
    later = NOW + dt.timedelta(days=days)
    ensure_grid_pki(files, now=later)
    after = contents(files)
    # the authority's own end makes everything new, the certificates' only them
    assert (before["ca.pem"] != after["ca.pem"]) == (days > 3000)
    for name in ("host.pem", "host.key", "service.pem", "service.key"):
        assert before[name] != after[name]
    stamp = str(int(later.timestamp()))
    for path in (files.host, files.service):
        openssl("verify", "-attime", stamp, "-CApath", str(files.trusted), str(path))


@pytest.mark.parametrize("broken", ["host.key", "service.pem", "ca.key"])
def test_pair_is_made_again_when_one_half_is_damaged(files: GridFiles, broken: str) -> None:
    path = files.folder / broken
    path.chmod(0o600)
    path.write_text("half of it")
    ensure_grid_pki(files)
    for each in (files.host, files.service):
        openssl("verify", "-CApath", str(files.trusted), str(each))


def test_certificate_is_made_again_when_its_authority_is_another(
    files: GridFiles, tmp_path: Path
) -> None:
    # a crash between the authority and what it signs
    other = GridFiles(tmp_path / "other")
    ensure_grid_pki(other)
    for path in (files.authority, key_of(files.authority)):
        path.unlink()
        (other.folder / path.name).rename(path)
    ensure_grid_pki(files)
    openssl("verify", "-CApath", str(files.trusted), str(files.host))


def test_keys_are_closed_to_others(files: GridFiles) -> None:
    renew_proxy(files)
    for name in ("ca.key", "host.key", "service.key", "proxy.pem"):
        assert stat.S_IMODE((files.folder / name).stat().st_mode) == 0o400
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


def test_clients_get_both_authorities_and_lose_old_ones(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    ensure_pki(layout)
    old = self_signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")]))
    write_authorities(layout.certificates, {old: "/CN=*"})
    write_client_authorities(layout)
    server = ("verify", "-no-CAfile", "-no-CAstore", "-CApath", str(layout.certificates))
    openssl(*server, str(layout.server_certificate))
    assert len(list(layout.certificates.glob("*.0"))) == 1
    ensure_grid_pki(GridFiles.of(layout))
    write_client_authorities(layout)
    openssl(*server, str(GridFiles.of(layout).host))
    assert len(list(layout.certificates.glob("*.0"))) == 2
    policies = "".join(path.read_text() for path in layout.certificates.glob("*.signing_policy"))
    assert "cond_subjects globus '\"/DC=test/DC=af/*\"'" in policies
