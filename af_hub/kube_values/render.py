"""From the facility file to values of the Zero-to-JupyterHub chart. Pure.

What every facility has in common stands in ``helm-values/jupyterhub/values.yaml``; here is what
the facility file decides, so that no issuer, audience, group or address is typed twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from af_hub.compute.settings import SERVICE_NAME
from af_hub.kube_values import files, images, network
from af_hub.kube_values.cache import cache_values
from af_hub.kube_values.doors import Service, Target, identity_provider, target, targets
from af_hub.kube_values.places import CLIENT_SECRET, SECRET_NAME
from af_hub.kube_values.section import pods_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from af_hub.facility import FacilityConfig
    from af_hub.kube_values.places import Site
    from af_hub.kube_values.section import Pods

FILE: Final = "facility.values.yaml"
"""Name of the file with the generated values."""

AUTHORITIES: Final = "authorities.yaml"
"""Name of the file with the ConfigMap of authorities, for ``kubectl apply``."""

XCACHE: Final = "xcache.values.yaml"
"""Name of the file with the values of the facility's XCache in the cluster."""

GATEWAY_PORT: Final = 8000
"""Where the pods of the Service ``dask-gateway`` listen."""

_PROXY_TLS: Final = 8443
"""Where the chart's proxy listens for https; the chart lets Labs reach its other port only."""

_BY: Final = (
    "# Written by `analysis-facility values --for jupyterhub`; change the facility file instead.\n"
)

_HEAD: Final = f"""\
{_BY.rstrip()}
# It holds no secret. A later --values file replaces lists whole: to let Labs reach more, add a
# NetworkPolicy of your own, policies add up.
#
# What users' pods reach beside hub, proxy and DNS:
"""


def wanted_files(facility: FacilityConfig) -> tuple[tuple[str, ...], str | None]:
    """List the files that `render` embeds, and a folder of more, by paths relative to the file.

    Parameters
    ----------
    facility
        Parsed as the file at `HUB_FILE`, so that its paths are those of the hub's pod.

    Raises
    ------
    ConfigError
        ``kube-path`` or ``kube-secret``.
    """
    return files.beside(facility), files.folder_beside(facility)


def render(
    facility: FacilityConfig, text: str, contents: Mapping[str, bytes], site: Site
) -> Mapping[str, str]:
    """Write the values.

    Parameters
    ----------
    facility
        Parsed as the file at `HUB_FILE`; its section ``kubernetes`` is set.
    text
        The file itself, comments and all: the hub reads it as it is.
    contents
        What is in the files of `wanted_files`.
    site
        What the facility file does not say.

    Returns
    -------
    Mapping
        Text by file name: `FILE`, `AUTHORITIES` if Labs get them by a ConfigMap, `XCACHE` if
        the facility's cache is a Service. None is secret.

    Raises
    ------
    ConfigError
        ``no-kubernetes``, ``kube-image``, ``kube-loopback``, ``kube-size`` or
        ``kube-private-key``.
    """
    pods = pods_of(facility)
    found = targets(facility, pods)
    values = {
        "hub": _hub(facility, pods, text, contents, site),
        "proxy": {"chp": {"networkPolicy": {"egress": _behind_the_proxy(facility)}}},
        "singleuser": {
            "image": images.split(pods.lab_image),
            "networkPolicy": {
                "egress": [
                    network.proxy_rule([_PROXY_TLS]),
                    *network.rules(found, site.networks),
                ]
            },
        },
        "prePuller": {
            "extraImages": {
                f"profile-{number}": images.split(image)
                for number, image in enumerate(pods.images, 1)
            }
        },
    }
    more = {
        AUTHORITIES: files.authorities(facility, pods, contents),
        XCACHE: cache_values(facility, pods),
    }
    written = {name: _BY + _dump(part) for name, part in more.items() if part is not None}
    return {FILE: _head(found, site) + _dump(values), **written}


def _hub(
    facility: FacilityConfig,
    pods: Pods,
    text: str,
    contents: Mapping[str, bytes],
    site: Site,
) -> dict[str, Any]:
    """Write what the hub's pod gets."""
    hub: dict[str, Any] = {
        "extraFiles": files.for_hub(
            text, {name: contents[name] for name in files.beside(facility)}
        ),
        "networkPolicy": {"egress": _behind_the_hub(facility, pods, site)},
        "services": _services(facility),
    }
    if facility.identity.client_secret_env is not None:
        reference = {"name": SECRET_NAME, "key": CLIENT_SECRET}
        variable = {"valueFrom": {"secretKeyRef": reference}}
        hub["extraEnv"] = {facility.identity.client_secret_env: variable}
    if site.public_url is not None:
        hub["baseUrl"] = site.base
        hub["config"] = _addresses(site)
    return hub


def _behind_the_hub(facility: FacilityConfig, pods: Pods, site: Site) -> list[network.Rule]:
    """Let the hub reach the identity provider, the cluster's API server and the database."""
    named = (target("--hub-reaches", f"tcp://{place}", pods) for place in site.hub_reaches)
    found = [identity_provider(facility, pods), *(one for one in named if one is not None)]
    guessed = [] if site.hub_reaches else [network.somewhere_private()]
    return [*network.rules(found, site.networks), *guessed]


def _addresses(site: Site) -> dict[str, Any]:
    """Say where browsers find the hub, so that it has not to be guessed from requests."""
    hub: dict[str, Any] = {"public_url": site.public_url}
    if site.subdomains:
        hub["subdomain_host"] = site.origin
    callback = f"{site.public_url}hub/oauth_callback"
    return {"JupyterHub": hub, "IAMAuthenticator": {"oauth_callback_url": callback}}


def _services(facility: FacilityConfig) -> dict[str, Any]:
    """Name the hub's services; the chart makes the token of each."""
    services: dict[str, Any] = {name: {} for name in facility.identity.services}
    if facility.compute.gateway is not None:
        url = f"http://{SERVICE_NAME}:{GATEWAY_PORT}"
        services[SERVICE_NAME] = {"url": url, "display": False}
    return services


def _behind_the_proxy(facility: FacilityConfig) -> list[network.Rule]:
    """Let the proxy pass requests on to the gateway."""
    if facility.compute.gateway is None:
        return []
    gateway = Target("compute.gateway", Service(SERVICE_NAME, None), GATEWAY_PORT)
    return network.rules([gateway], ())


def _head(found: Iterable[Target], site: Site) -> str:
    reached = "".join(f"#   {one}\n" for one in found)
    if not site.subdomains:
        return _HEAD + reached
    return (
        f"{_HEAD}{reached}#\n# Each user has a host name of their own, which needs a DNS entry and a "
        f"certificate for\n# *.{site.host} beside {site.host}.\n"
    )


class _Dumper(yaml.SafeDumper):
    """YAML in the way a person would write it: whole texts as blocks, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the base class's signature
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", data, style="|" if "\n" in data else None
    )


_Dumper.add_representer(str, _text)


def _dump(values: dict[str, Any]) -> str:
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=1000)
