"""A facility in pods: hub, proxy, identity provider and storage of the test cluster.

One for all tests of a session. `PodFacility` has what `testbed.facility.Facility` has for users, and
the cluster's side of it: the user's pod, the hub's, its log.
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from af_hub.embedded.iam.config import ClientConfig, IAMConfig
from af_hub.embedded.storage.serve import StorageConfig
from testbed.facility import HubBrowser, User, wait_for
from testbed.iam import Answer
from testbed.kube_pki import service_certificate
from testbed.kube_volumes import volumes
from testbed.parts_image import build_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.kube.cluster import Cluster
    from tools.images.records import Record

MANIFESTS = Path(__file__).parents[1] / "kube" / "manifests"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
IAM_PORT, LOGIN_PORT, STORAGE_PORT = 8443, 8090, 8443
START = 180.0
"""Seconds for the whole facility, on a busy machine."""


@dataclass
class PodFacility:
    """A running facility.

    Parameters
    ----------
    kube
        The cluster.
    namespace
        Where everything is.
    addresses
        Service name to its address, which this machine reaches.
    images
        References by name: ``hub``, ``lab``, ``parts``.
    storage_class
        Of volumes.
    """

    kube: Cluster
    namespace: str
    addresses: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    storage_class: str = ""
    tester: str = field(default_factory=lambda: secrets.token_hex(24))

    @property
    def base_url(self) -> str:
        """Address that a user opens."""
        return f"http://{self.addresses['proxy-public']}"

    @property
    def login_url(self) -> str:
        """The identity provider's login page."""
        return f"http://{self.addresses['iam']}:{LOGIN_PORT}"

    def host(self, service: str) -> str:
        """Give a Service's name in the cluster."""
        return f"{service}.{self.namespace}.svc"

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 90) -> str:
        """Run kubectl in the facility's namespace."""
        return self.kube.kubectl(
            "--namespace", self.namespace, *arguments, input=input, timeout=timeout
        )

    def log_in(self, username: str) -> User:
        """Log in by HTTP as a browser would, and return the session."""
        # a user needs no more of a facility than its address
        user = User(cast("Any", self), username, HubBrowser())
        user.log_in()
        return user

    def api(self, method: str, path: str, body: object = None, timeout: float = 30) -> Answer:
        """Call the hub's REST API as an administrator's service."""
        request = urllib.request.Request(
            f"{self.base_url}/hub/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {self.tester}", "Content-Type": "application/json"},
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return Answer(
                    answer.status, answer.headers, answer.read().decode(), request.full_url
                )
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode(), request.full_url)

    def progress(self, username: str, word: str, patience: float) -> str:
        """Read what the progress page tells about a start until it says a word."""
        request = urllib.request.Request(
            f"{self.base_url}/hub/api/users/{username}/server/progress",
            headers={"Authorization": f"token {self.tester}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        heard, deadline = [], time.monotonic() + patience
        # comments keep the stream alive, so it never stays silent
        with opener.open(request, timeout=patience) as stream:
            for line in stream:
                heard.append(line.decode())
                if word in heard[-1] or time.monotonic() > deadline:
                    break
        return "".join(heard)

    def server(self, username: str) -> dict[str, Any] | None:
        """Return what the hub knows about a user's server, None if there is none."""
        found: dict[str, Any] | None = self.api("GET", f"users/{username}").json["servers"].get("")
        return found

    def pods(self, selector: str = "component=singleuser-server") -> list[dict[str, Any]]:
        """List pods, by default the Labs."""
        answer = self.kubectl("get", "pods", "--selector", selector, "--output=json")
        found: list[dict[str, Any]] = json.loads(answer)["items"]
        return found

    def lab(self, username: str) -> dict[str, Any] | None:
        """Return the pod of a user's Lab, None if there is none."""
        labels = f"component=singleuser-server,hub.jupyter.org/username={username}"
        return next(iter(self.pods(labels)), None)

    def in_lab(self, username: str, *command: str) -> str:
        """Run a command in a user's Lab, as the user's programs see it."""
        return self.kubectl("exec", f"jupyter-{username}", "--", *command)

    def start(self, username: str, profile: str = "small", **options: object) -> float:
        """Start a user's Lab by REST and wait until it is ready; return the seconds."""
        begin = time.monotonic()
        body = {"profile": profile, **options}
        answer = self.api("POST", f"users/{username}/server", body)
        assert answer.status in {201, 202}, f"{answer.status} {answer.text}"
        wait_for(lambda: (self.server(username) or {}).get("ready"), f"the Lab of {username}")
        return time.monotonic() - begin

    def stop(self, username: str) -> None:
        """Stop a user's Lab, if there is one, and wait until its pod is gone."""
        wait_for(lambda: not (self.server(username) or {}).get("pending"), "the end of a change")
        if self.server(username) is not None:
            answer = self.api("DELETE", f"users/{username}/server")
            assert answer.status in {202, 204}, f"{answer.status} {answer.text}"
        wait_for(
            lambda: self.server(username) is None and self.lab(username) is None,
            f"the end of the Lab of {username}",
        )

    def clear(self) -> None:
        """End all Labs and starts, as the cluster's administrator."""
        labs = ("pods", "--selector=component=singleuser-server")
        self.kubectl("delete", *labs, "--grace-period=1", "--wait=false")
        wait_for(
            lambda: (
                not self.pods()
                and not any(user["servers"] for user in self.api("GET", "users").json)
            ),
            "the end of all Labs",
        )

    def kill_hub(self) -> None:
        """Kill the hub as a crash would; the cluster starts another one."""
        self.kubectl("delete", "pods", "--selector=app=hub", "--grace-period=0", "--force")

    def wait_for_hub(self) -> None:
        """Wait until the hub answers through the proxy."""
        wait_for(lambda: self.api("GET", "", timeout=2).status == 200, "the hub")

    def wait_for_new_hub(self) -> None:
        """Wait until the hub answers that the cluster starts after `kill_hub`."""
        # a request that is on its way to a killed hub waits for an answer until it gives up
        wait_for(self._hub_is_ready, "a hub that is ready")
        self.wait_for_hub()

    def _hub_is_ready(self) -> bool:
        statuses = [
            status
            for pod in self.pods("app=hub")
            for status in pod["status"].get("containerStatuses", [])
        ]
        return bool(statuses) and all(status["ready"] for status in statuses)

    def hub_log(self) -> str:
        """Return what the hub has logged."""
        return self.kubectl("logs", "deployment/hub", "--tail=-1")

    def apply(self, name: str, **values: str) -> None:
        """Apply a file of `MANIFESTS`."""
        text = Template((MANIFESTS / name).read_text()).substitute(values)
        self.kubectl("apply", "--server-side", "--filename=-", input=text)

    # --- how it comes up ---

    def deploy(self) -> None:
        """Apply everything and wait until all pods are ready."""
        self.apply("services.yaml")
        for service in json.loads(self.kubectl("get", "services", "--output=json"))["items"]:
            self.addresses[service["metadata"]["name"]] = service["spec"]["clusterIP"]
        self.apply("hub-role.yaml")
        self._configure()
        hub, lab, parts = (self.images[name] for name in ("hub", "lab", "parts"))
        self.apply("parts.yaml", parts_image=parts, lab_image=lab)
        self.apply(
            "hub.yaml",
            hub_image=hub,
            public_url=f"{self.base_url}/",
            login_url=self.login_url,
            storage_class=self.storage_class,
        )
        for name in ("iam", "storage", "proxy", "hub"):
            self.kubectl(
                "rollout",
                "status",
                f"deployment/{name}",
                f"--timeout={START:.0f}s",
                timeout=START + 10,
            )
        self.wait_for_hub()

    def _configure(self) -> None:
        """Make the ConfigMaps and Secrets that the pods mount."""
        hosts = [self.host("iam"), self.host("storage")]
        authority, certificate, key = service_certificate(hosts)
        client_secret = secrets.token_urlsafe(24)
        own = {
            "client-secret": client_secret,
            "cookie-secret": secrets.token_hex(32),
            "crypt-key": secrets.token_hex(32),
            "proxy-token": secrets.token_hex(32),
            "tester-token": self.tester,
        }
        theirs = {"client-secret": client_secret, "tls.crt": certificate, "tls.key": key}
        config = (MANIFESTS / "jupyterhub_config.py").read_text()
        self.hold("ConfigMap", "authorities", {"ca-bundle.pem": authority})
        self.hold(
            "ConfigMap", "hub", {"facility.yaml": self.facility(), "jupyterhub_config.py": config}
        )
        self.hold("ConfigMap", "parts", self._parts())
        self.hold("Secret", "hub", own)
        self.hold("Secret", "parts", theirs)

    def facility(self) -> str:
        """Write the facility file."""
        home = {"size": "1G", "storage_class": self.storage_class}
        return Template((MANIFESTS / "facility.yaml").read_text()).substitute(
            issuer=f"https://{self.host('iam')}:{IAM_PORT}",
            storage=f"https://{self.host('storage')}:{STORAGE_PORT}",
            lab_image=self.images["lab"],
            home=json.dumps(home),
        )

    def _parts(self) -> dict[str, str]:
        """Write the configurations of identity provider and storage."""
        here = Path("/etc/parts")
        tls = {"certificate": here / "secrets/tls.crt", "key": here / "secrets/tls.key"}
        iam = IAMConfig(
            host=self.host("iam"),
            bind="0.0.0.0",  # noqa: S104  in a pod
            login_host=self.addresses["iam"],
            https_port=IAM_PORT,
            login_port=LOGIN_PORT,
            data=Path("/srv/iam"),
            clients=(
                ClientConfig(
                    client_id="af-hub",
                    secret_file=here / "secrets/client-secret",
                    redirect_uris=(f"{self.base_url}/hub/oauth_callback",),
                ),
            ),
            **tls,
        )
        storage = StorageConfig(
            root=Path("/srv/store"),
            host="0.0.0.0",  # noqa: S104
            port=STORAGE_PORT,
            issuer=iam.issuer,
            token_issuer=iam.access_token_issuer,
            audience=f"https://{self.host('storage')}:{STORAGE_PORT}",
            ca_file=here / "ca/ca-bundle.pem",
            **tls,
        )
        return {"iam.json": iam.model_dump_json(), "storage.json": storage.model_dump_json()}

    def hold(self, kind: str, name: str, data: dict[str, str]) -> None:
        """Apply a ConfigMap or a Secret."""
        key = "stringData" if kind == "Secret" else "data"
        text = yaml.safe_dump(
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, key: data}
        )
        self.kubectl("apply", "--server-side", "--filename=-", input=text)


@contextmanager
def pod_facility_in(
    kube: Cluster, namespace: str, images: dict[str, str], volume_count: int = 16
) -> Iterator[PodFacility]:
    """Give a facility in a namespace of its own; nothing of it is left afterwards."""
    with volumes(kube, namespace, volume_count) as storage_class:
        kube.add_namespace(namespace, RESTRICTED)
        facility = PodFacility(kube, namespace, images=images, storage_class=storage_class)
        try:
            facility.deploy()
            yield facility
        finally:
            with suppress(Exception):
                kube.kubectl("delete", "namespace", namespace, "--timeout=60s", timeout=70)


def facility_images(kube: Cluster, kube_image: Callable[[str], Record]) -> dict[str, str]:
    """Bring the images of a facility into the cluster and return their references."""
    hub, lab = kube_image("hub"), kube_image("lab")
    parts = build_parts(hub)
    kube.load(Path(parts.archive))
    return {"hub": hub.reference, "lab": lab.reference, "parts": parts.reference}


@pytest.fixture(scope="session")
def pod_facility(kube: Cluster, kube_image: Callable[[str], Record]) -> Iterator[PodFacility]:
    """Give the facility in pods that all tests share; a test leaves its hub running."""
    namespace = f"facility-{secrets.token_hex(3)}"
    with pod_facility_in(kube, namespace, facility_images(kube, kube_image)) as facility:
        yield facility


@pytest.fixture
def no_labs_left(pod_facility: PodFacility) -> Iterator[None]:
    """End all Labs after a test, also after one that failed in the middle."""
    yield
    pod_facility.clear()
