"""The facility's own authority and its server certificate: kept, renewed, mended."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from af_hub.embedded.certificates import is_issued_by
from af_hub.embedded.layout import Layout
from af_hub.embedded.pki import SERVER_LIFETIME, ensure_pki

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give a data folder with certificates."""
    layout = Layout(tmp_path / "data")
    layout.create()
    ensure_pki(layout)
    return layout


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def fits(layout: Layout) -> bool:
    return is_issued_by(read(layout.server_certificate), read(layout.ca_certificate))


def test_certificates_are_kept_when_they_are_good(layout: Layout) -> None:
    before = layout.ca_certificate.read_bytes(), layout.server_certificate.read_bytes()
    ensure_pki(layout)
    assert (layout.ca_certificate.read_bytes(), layout.server_certificate.read_bytes()) == before


def test_server_certificate_is_renewed_when_it_ends_soon(layout: Layout) -> None:
    authority, server = read(layout.ca_certificate), read(layout.server_certificate)
    ensure_pki(layout, now=dt.datetime.now(dt.UTC) + SERVER_LIFETIME - dt.timedelta(days=7))
    assert read(layout.ca_certificate) == authority
    assert read(layout.server_certificate).not_valid_after_utc > server.not_valid_after_utc
    assert fits(layout)


def test_server_certificate_is_made_anew_when_its_authority_is_another(
    layout: Layout, tmp_path: Path
) -> None:
    # a crash between writing the two
    other = Layout(tmp_path / "other")
    other.create()
    ensure_pki(other)
    for name in ("ca_certificate", "ca_key"):
        getattr(layout, name).write_bytes(getattr(other, name).read_bytes())
    assert not fits(layout)
    ensure_pki(layout)
    assert fits(layout)
    assert read(layout.ca_certificate) == read(other.ca_certificate)
