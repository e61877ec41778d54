"""A Lab in its pod: what it finds there, what it must not find, and what is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from testbed.facility import User, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube_facility import PodFacility


@pytest.fixture(scope="module")
def bob(pod_facility: PodFacility) -> Iterator[User]:
    """Give bob, logged in, with a Lab that runs."""
    user = pod_facility.log_in("bob")
    user.start_server("quoted")
    yield user
    pod_facility.stop("bob")


def variables(facility: PodFacility, user: str) -> dict[str, str]:
    """Read the environment of a Lab's first process."""
    text = facility.in_lab(user, "cat", "/proc/1/environ")
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def test_token_file_is_fresh_and_closed_when_the_lab_runs(
    pod_facility: PodFacility, bob: User
) -> None:
    path = variables(pod_facility, "bob")["BEARER_TOKEN_FILE"]

    def mode() -> str:
        command = f"stat --format='%a %s' {path}; stat --file-system --format=%T $(dirname {path})"
        return pod_facility.in_lab("bob", "sh", "-c", command)

    wait_for(lambda: "600" in mode(), "the token file")
    bits, size, kind = mode().split()
    assert bits == "600"
    assert int(size) > 300
    assert kind == "tmpfs"


def test_token_endpoint_answers_the_pods_own_server_only(
    pod_facility: PodFacility, bob: User
) -> None:
    program = """
import json, os, urllib.request
def ask(url):
    head = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=head)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}
base = os.environ["AF_HUB_API"]
status, body = ask(base + "/token?audience=storage")
other, _ = ask(base + "/users/alice/token?audience=storage")
print(json.dumps([status, sorted(body), other]))
"""
    status, keys, other = json.loads(pod_facility.in_lab("bob", "python", "-c", program))
    assert status == 200
    assert "access_token" in keys
    assert not any("refresh" in key or "id_token" in key for key in keys)
    assert other in {403, 404}


def test_data_panel_lists_what_the_token_opens(bob: User) -> None:
    listing = bob.lab("af/storage/demo/list?path=/cms/zmumu")
    assert listing.status == 200, listing.text
    assert "zmumu_0.root" in listing.text
    assert bob.lab("af/storage/demo/list?path=/atlas/zmumu").status in {403, 404}


def test_oidc_token_prints_a_token_when_asked_in_a_terminal(
    pod_facility: PodFacility, bob: User
) -> None:
    wait_for(
        lambda: pod_facility.in_lab("bob", "sh", "-c", "test -S $OIDC_SOCK; echo $?") == "0\n",
        "the agent's socket",
    )
    assert pod_facility.in_lab("bob", "oidc-token", "af").count(".") == 2


def test_written_text_arrives_as_it_is_when_it_looks_like_a_template(
    pod_facility: PodFacility, bob: User
) -> None:
    assert variables(pod_facility, "bob")["WRITTEN"] == "{username} {nokey} $(HOME) 5$"


def test_pod_holds_no_way_into_the_cluster(pod_facility: PodFacility, bob: User) -> None:
    found = pod_facility.in_lab(
        "bob", "sh", "-c", "ls /var/run/secrets 2>&1; id -u; id -g; cat /proc/1/status"
    )
    assert "No such file" in found
    assert "\n1000\n100\n" in found
    # no privilege, and no way to get one
    assert "CapEff:\t0000000000000000" in found
    assert "NoNewPrivs:\t1" in found
    assert "Seccomp:\t2" in found


def test_no_device_is_visible_when_none_was_asked_for(pod_facility: PodFacility, bob: User) -> None:
    told = variables(pod_facility, "bob")
    assert told["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert told["CUDA_VISIBLE_DEVICES"] == ""


def test_every_pod_is_admitted_under_restricted(pod_facility: PodFacility, bob: User) -> None:
    """The namespace enforces it; a dry run of the stricter label finds nothing to warn of."""
    found = pod_facility.kube.get("namespace", pod_facility.namespace)
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    label = ("label", "--dry-run=server", "--overwrite", "namespace", pod_facility.namespace)
    said = pod_facility.kube.kubectl(*label, "pod-security.kubernetes.io/enforce=restricted")
    assert "violate" not in said
    running = {pod["metadata"]["labels"].get("app") for pod in pod_facility.pods("")}
    assert {"hub", "proxy", "iam", "storage", "jupyterhub"} <= running


def test_files_are_there_again_when_the_lab_starts_anew(pod_facility: PodFacility) -> None:
    carol = pod_facility.log_in("carol")
    carol.start_server("small")
    pod_facility.in_lab("carol", "sh", "-c", "echo kept > ~/note; mkdir ~/made")
    first = home_claim(pod_facility.lab("carol"))
    pod_facility.stop("carol")
    carol.start_server("small")
    assert pod_facility.in_lab("carol", "cat", "/home/jovyan/note") == "kept\n"
    assert home_claim(pod_facility.lab("carol")) == first
    pod_facility.stop("carol")


def home_claim(pod: dict[str, Any] | None) -> str:
    """Return the name of the claim that a Lab's home is on."""
    assert pod is not None
    (claim,) = (
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    )
    return str(claim)


def test_home_stays_when_the_user_is_removed_from_the_hub(pod_facility: PodFacility) -> None:
    dora = pod_facility.log_in("dora")
    dora.start_server("small")
    pod_facility.in_lab("dora", "sh", "-c", "echo kept > ~/note")
    pod_facility.stop("dora")
    assert pod_facility.api("DELETE", "users/dora").status == 204
    pod_facility.log_in("dora").start_server("small")
    assert pod_facility.in_lab("dora", "cat", "/home/jovyan/note") == "kept\n"
    pod_facility.stop("dora")
