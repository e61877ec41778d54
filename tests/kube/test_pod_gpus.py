"""Graphics processors that were asked for: given, waited for, or hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.facility import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.kube_facility import PodFacility

pytestmark = pytest.mark.usefixtures("no_labs_left")

PATIENCE = 60.0


@pytest.fixture
def one_gpu(pod_facility: PodFacility) -> Iterator[None]:
    """Let the node have one GPU, which is none."""
    pod_facility.kube.fake_gpus(1)
    yield
    pod_facility.kube.fake_gpus(0)


def test_start_pends_with_the_reason_when_there_are_not_enough(
    pod_facility: PodFacility, one_gpu: None
) -> None:
    pod_facility.log_in("alice")
    pod_facility.api("POST", "users/alice/server", {"profile": "gpu", "gpu": 2})
    said = pod_facility.progress("alice", "nvidia.com/gpu", PATIENCE)
    assert "Insufficient nvidia.com/gpu" in said
    pod = pod_facility.lab("alice")
    assert pod is not None
    assert pod["status"]["phase"] == "Pending"
    # one that fits is served
    pod_facility.log_in("bob")
    pod_facility.start("bob", "small")
    pod_facility.kubectl("delete", "pod", "jupyter-alice", "--wait=false")
    wait_for(lambda: pod_facility.server("alice") is None, "the end of the start", PATIENCE)


def test_device_is_reserved_when_it_was_asked_for(pod_facility: PodFacility, one_gpu: None) -> None:
    pod_facility.log_in("alice")
    pod_facility.start("alice", "gpu", gpu=1)
    pod = pod_facility.lab("alice")
    assert pod is not None
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    # the device plug-in of a real node says which; nothing hides it
    told = pod_facility.in_lab("alice", "cat", "/proc/1/environ")
    assert "NVIDIA_VISIBLE_DEVICES=void" not in told


def test_profile_is_refused_when_the_user_is_not_in_its_group(pod_facility: PodFacility) -> None:
    """By REST, where no page hides it: the same policy as on one machine."""
    pod_facility.log_in("carol")
    answer = pod_facility.api("POST", "users/carol/server", {"profile": "gpu", "gpu": 1})
    assert answer.status == 400
    assert "There is no profile 'gpu' for you" in answer.text
    assert pod_facility.lab("carol") is None
