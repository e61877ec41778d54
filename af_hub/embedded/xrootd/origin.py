"""The origin: XRootD as a site of the federation runs it, open to certificates only."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from af_hub.embedded.xrootd import places
from af_hub.embedded.xrootd.grid_pki import key_of, service_name

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "xcachesvc"
"""Who the cache is at the origin; its log says ``login as xcachesvc``."""

_CONFIG = Template("""\
# Written anew by every `analysis-facility run`.
all.adminpath $admin
all.pidpath $admin
all.export /store r/o
oss.localroot $root
xrd.port $port
xrd.network nodnr
xrootd.seclib libXrdSec.so
sec.protocol gsi -certdir:$trusted -cert:$certificate -key:$key -gridmap:$gridmap -gmapopt:trymap -crl:0
sec.protbind * only gsi
ofs.authorize 1
acc.authdb $authdb
xrootd.chksum max 2 adler32
""")


def render_origin(port: int) -> Mapping[str, str]:
    """Write the origin's files as text.

    Parameters
    ----------
    port
        Where it listens.

    Returns
    -------
    Mapping of str to str
        Content by file name.
    """
    config = _CONFIG.substitute(
        admin=places.ADMIN,
        root=places.ROOT,
        port=port,
        trusted=places.GRID.trusted,
        certificate=places.GRID.host,
        key=key_of(places.GRID.host),
        gridmap=places.CONFIG / "gridmap",
        authdb=places.CONFIG / "authdb",
    )
    return {
        "xrootd.cf": config,
        "gridmap": f'"{service_name()}" {ACCOUNT}\n',
        "authdb": f"u {ACCOUNT} /store rl\n",
    }
