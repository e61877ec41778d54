"""``analysis-facility values``: configuration of other parts, written from the facility file.

Imports stand in the functions, as in `af_hub.cli`.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from af_hub.facility import FacilityConfig


def add_values(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    values = commands.add_parser("values", help="write another part's configuration from the file")
    values.add_argument(
        "--for",
        dest="part",
        required=True,
        choices=["xcache", "jupyterhub"],
        help="which part: xcache (xrootd.cf, scitokens.cfg and authdb for /etc/xrootd), jupyterhub "
        "(values for the Zero-to-JupyterHub chart, beside those in helm-values/jupyterhub)",
    )
    values.add_argument("file", type=Path, metavar="FILE", help="facility file")
    values.add_argument(
        "--output", type=Path, metavar="DIR", help="folder to write to (default: print it all)"
    )
    hub = values.add_argument_group("for jupyterhub")
    hub.add_argument("--public-url", metavar="URL", help="address that users open, https://HOST/")
    hub.add_argument(
        "--subdomains",
        action=argparse.BooleanOptionalAction,
        help="give each user a host name of their own below that of the hub (default: where a profile "
        "lets users bring images, since nothing else keeps their pages apart)",
    )
    hub.add_argument(
        "--site-network",
        action="append",
        default=[],
        metavar="CIDR",
        help="private network, such as 192.168.7.0/24, with storage, catalogue or identity "
        "provider in it; users' pods reach the ports in the facility file there; may be repeated",
    )
    hub.add_argument(
        "--hub-reaches",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="where the hub goes beside the facility file: the API server (kubectl get "
        "endpointslices kubernetes) and the database, an address or NAME.NAMESPACE.svc; may be "
        "repeated. Without it the hub reaches all private addresses at the ports of both",
    )
    values.set_defaults(command=_values)


def _values(options: argparse.Namespace) -> None:
    from af_hub.embedded.files import write_atomically
    from af_hub.facility import load
    from af_hub.facility.warnings import warnings_of

    facility = load(options.file)
    make = {"xcache": _xcache_files, "jupyterhub": _jupyterhub_files}[options.part]
    files = make(facility, options)
    for warning in warnings_of(facility):
        sys.stderr.write(f"Note: {warning}\n")
    if options.output is None:
        sys.stdout.write("\n".join(f"# ==> {name} <==\n{text}" for name, text in files.items()))
        return
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        # no secret is in them, and XRootD runs as a user of its own
        write_atomically(options.output / name, text, mode=0o644)
        sys.stdout.write(f"{options.output / name}\n")


def _xcache_files(facility: FacilityConfig, _options: argparse.Namespace) -> Mapping[str, str]:
    from af_hub.xcache import production_places, render

    return render(facility, production_places(facility)).files


def _jupyterhub_files(facility: FacilityConfig, options: argparse.Namespace) -> Mapping[str, str]:
    from af_hub.facility.load import parse
    from af_hub.kube_values import HUB_FILE, Site, is_authority, render, wanted_files

    site = Site.read(
        public_url=options.public_url,
        subdomains=options.subdomains,
        users_bring_images=any(each.users_bring_images for each in facility.profiles),
        networks=tuple(options.site_network),
        hub_reaches=tuple(options.hub_reaches),
    )
    text = options.file.read_text(encoding="utf-8-sig")
    # once more, as the file in the hub's pod: its paths count from there
    facility = parse(text, Path(HUB_FILE))
    folder = options.file.absolute().parent
    names, below = wanted_files(facility)
    paths = [folder / name for name in names]
    if below is not None:
        paths += sorted(path for path in (folder / below).iterdir() if is_authority(path.name))
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return render(facility, text, contents, site)
