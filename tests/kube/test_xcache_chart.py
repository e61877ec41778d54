"""The chart of the XCache on a real cluster: a Lab reads protected data through it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from testbed.facility import wait_for
from testbed.kube.cluster import KubectlError
from testbed.kube_xcache import SIZE, KubeXCache, xcache_in
from testbed.pod_security import violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.kube_facility import PodFacility
    from tools.images.records import Record

METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9932/metrics", timeout=10).read().decode())
"""


@pytest.fixture(scope="module")
def cache(
    pod_facility: PodFacility,
    kube_image: Callable[[str], Record],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KubeXCache]:
    """Give the cache, and alice's Lab, which knows the authority behind it."""
    user = pod_facility.log_in("alice")
    user.start_server("small")
    folder = tmp_path_factory.mktemp("xcache")
    with xcache_in(pod_facility, kube_image("xcache"), folder) as given:
        write = "import sys; open('/tmp/ca.pem', 'w').write(sys.argv[1])"
        pod_facility.in_lab("alice", "python", "-c", write, given.authority)
        yield given
    pod_facility.stop("alice")


def read(facility: PodFacility, environment: str = "") -> str:
    """Count the bytes that a Lab reads through the cache."""
    command = "xrdcp --nopbar root://xcache:1094//store/cms/f - | wc -c"
    trust = "export X509_CERT_FILE=/tmp/ca.pem XRD_CONNECTIONRETRY=1 XRD_STREAMTIMEOUT=10"
    return facility.in_lab(
        "alice", "bash", "-c", f"set -o pipefail; {trust} {environment}; {command}"
    )


def test_a_lab_reads_with_its_token_when_the_cache_runs(
    pod_facility: PodFacility, cache: KubeXCache
) -> None:
    assert int(read(pod_facility)) == SIZE
    assert int(read(pod_facility)) == SIZE
    with pytest.raises(KubectlError, match=r"(?i)unauthorized|denied|permission|auth"):
        read(pod_facility, "BEARER_TOKEN_FILE=/dev/null BEARER_TOKEN=none")

    def counted() -> bool:
        said = pod_facility.kubectl(
            *("exec", "xcache-0", "--container", "exporter", "--", "python3", "-c", METRICS)
        )
        found = re.findall(r'delivered_bytes_total{result="(hit|miss)"} (\d+)', said)
        delivered = {name: int(number) for name, number in found}
        return sum(delivered.values()) == 2 * SIZE and 0 < delivered["miss"] <= SIZE

    wait_for(counted, "what was read")
    # tokens are in no log, and the origin has seen the service only
    assert "eyJ" not in cache.logs("xcache-0", "xcache")
    assert "xcachesvc" in cache.logs("origin")


def test_only_labs_reach_the_cache(pod_facility: PodFacility, cache: KubeXCache) -> None:
    try_ = (
        "import socket, sys; s = socket.create_connection(('xcache', 1094), timeout=5); print('in')"
    )
    assert pod_facility.in_lab("alice", "python", "-c", try_) == "in\n"
    if pod_facility.kube.node is not None:
        pod_facility.kube.settle_policies()
        with pytest.raises(KubectlError, match="timed out"):
            pod_facility.kubectl("exec", "deployment/storage", "--", "python", "-c", try_)


def test_the_caches_pod_is_restricted_when_it_runs(
    pod_facility: PodFacility, cache: KubeXCache
) -> None:
    pod = json.loads(pod_facility.kubectl("get", "pod", "xcache-0", "--output=json"))
    assert violations(pod["spec"]) == []
    states = {each["name"]: each for each in pod["status"]["containerStatuses"]}
    assert {name: each["restartCount"] for name, each in states.items()} == {
        "xcache": 0,
        "proxy": 0,
        "exporter": 0,
    }
