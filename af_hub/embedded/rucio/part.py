"""How a facility on one machine starts its Rucio server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af_hub.embedded.filling import COMPLETE
from af_hub.embedded.iam.people import DEMO_PEOPLE
from af_hub.embedded.parts import Part
from af_hub.embedded.probe import answers
from af_hub.embedded.rucio.config import RucioHome
from af_hub.embedded.rucio.environment import SERVER, rucio_folder, rucio_python
from af_hub.embedded.rucio.server.af_rucio.settings import Person, Settings, StorageElement
from af_hub.embedded.wiring import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from af_hub.embedded.wiring import Wiring
    from af_hub.facility.rucio import Rucio

ADMINS = "cms/af-admins"
"""Group whose members may do everything in Rucio."""


def own_rucio(wiring: Wiring) -> Rucio | None:
    """Return the section ``rucio`` if it names the Rucio server of this data folder."""
    rucio = wiring.facility.rucio
    return rucio if rucio and rucio.url.rstrip("/") == wiring.rucio_url else None


def rucio_environment(config: Path, ca_bundle: Path) -> dict[str, str]:
    """Return what the server's process needs in its environment.

    Parameters
    ----------
    config
        Its ``rucio.cfg``.
    ca_bundle
        Authorities for the issuer's certificate.
    """
    return {
        # its own programs only: for a token without audience or scope Rucio calls curl with the
        # token in the arguments, where every user of the machine can read it
        "PATH": str(rucio_folder() / "bin"),
        "PYTHONPATH": str(SERVER),
        "RUCIO_CONFIG": str(config),
        "REQUESTS_CA_BUNDLE": str(ca_bundle),
        "SSL_CERT_FILE": str(ca_bundle),
        # threads that each keep a heap of their own double the memory
        "MALLOC_ARENA_MAX": "2",
    }


def rucio_people(rucio: Rucio) -> tuple[Person, ...]:
    """Return the demo's users that are in a group, with the accounts that the facility gives."""
    return tuple(
        Person(account=account, sub=each.sub, email=each.email, admin=ADMINS in each.groups)
        for each in DEMO_PEOPLE
        if each.groups and (account := rucio.account_of(each.username))
    )


def rucio_settings(wiring: Wiring, rucio: Rucio, *, origin: bool, filled: bool) -> Settings:
    """Return the settings for a facility, see `rucio_part`."""
    identity = wiring.facility.identity
    home = RucioHome(wiring.layout.rucio)
    disk = ("davs", LOOPBACK, wiring.ports.storage)
    first = disk
    if origin and wiring.facility.xcache:
        # as it is called inside its namespace: addresses in the catalogue are the origin's
        first = ("root", *wiring.facility.xcache.origin_address.place)
    return Settings(
        port=wiring.ports.rucio,
        database=home.database_url,
        issuer=identity.access_token_issuer or identity.issuer.rstrip("/"),
        people=rucio_people(rucio),
        storage=(
            StorageElement("DEMO_ORIGIN", *first),
            StorageElement("DEMO_DISK", *disk, priority=2),
        ),
        store=wiring.layout.store,
        filled=wiring.layout.storage / COMPLETE if filled else None,
        sums=home.sums,
    )


def rucio_part(wiring: Wiring, rucio: Rucio, *, origin: bool, filled: bool) -> Part:
    """Write the configuration and say how to start the process.

    Parameters
    ----------
    wiring
        The facility.
    rucio
        Its section ``rucio``, see `own_rucio`.
    origin
        Whether the XRootD origin runs; without it both RSEs are the WebDAV storage.
    filled
        Whether this facility fills its store at the first start, so that Rucio has to wait.
    """
    home = RucioHome(wiring.layout.rucio)
    settings = rucio_settings(wiring, rucio, origin=origin, filled=filled)
    home.write(settings, audience=wiring.facility.identity.audiences[rucio.audience].audience)
    return Part(
        name="rucio",
        title="Rucio",
        command=(str(rucio_python()), "-m", "af_rucio", str(home.settings)),
        environment=rucio_environment(home.config, wiring.layout.ca_bundle),
        ready=answers(wiring.ports.rucio, "/ping"),
        address=wiring.rucio_url,
        start_timeout=120.0,  # with the first filling of the storage, on a slow disk
    )
