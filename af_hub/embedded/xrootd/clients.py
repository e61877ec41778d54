"""What XRootD's clients on this machine believe (``X509_CERT_DIR``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from af_hub.embedded.xrootd.authority import write_authorities
from af_hub.embedded.xrootd.grid_pki import NAMESPACE, GridFiles

if TYPE_CHECKING:
    from af_hub.embedded.layout import Layout


def write_client_authorities(layout: Layout) -> None:
    """Write the folder by which XRootD's clients know the facility's servers.

    Parameters
    ----------
    layout
        Its own authority exists; the grid's is added if there is one.
    """
    own = x509.load_pem_x509_certificate(layout.ca_certificate.read_bytes())
    authorities = {own: "/CN=*"}
    grid = GridFiles.of(layout).authority
    if grid.exists():
        certificate = x509.load_pem_x509_certificate(grid.read_bytes())
        authorities[certificate] = f"{NAMESPACE}/*"
    write_authorities(layout.certificates, authorities)
