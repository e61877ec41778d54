"""The XCache image's scripts with Debian's XRootD: started, asked, measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testbed.xcache_pod import PodRun


def test_file_is_read_by_token_when_the_image_starts_the_cache(xcache_pod: PodRun) -> None:
    assert xcache_pod.answers["good"] == [0, ("hello" * 20)]
    assert xcache_pod.answers["again"] == [0, ("hello" * 20)]


@pytest.mark.parametrize("token", ["open", "aud", "iss", "group", "none"])
def test_reading_is_refused_when_the_token_is_not_for_it(xcache_pod: PodRun, token: str) -> None:
    code, out = xcache_pod.answers[token]
    assert code != 0
    assert "hello" not in out


def test_writing_is_refused_when_a_token_would_allow_it(xcache_pod: PodRun) -> None:
    code, error = xcache_pod.answers["put"]
    assert code != 0
    assert "read-only file system" in error


def test_origin_knows_the_service_only_when_users_read(xcache_pod: PodRun) -> None:
    log = xcache_pod.log("origin")
    logins = set(re.findall(r"login as (\S+)", log))
    assert logins == {"xcachesvc"}
    assert "person" not in log


def test_no_log_holds_a_token_when_the_cache_was_used(xcache_pod: PodRun) -> None:
    for path in (xcache_pod.folder / "tokens").iterdir():
        signature = path.read_text().rpartition(".")[2]
        for name in ("origin", "cache", "exporter"):
            assert signature not in xcache_pod.log(name), (path.name, name)


def test_counters_are_told_when_xrootd_reports(xcache_pod: PodRun) -> None:
    text = xcache_pod.answers["metrics"]
    told = dict(re.findall(r"^(xcache_\S+) (\S+)$", text, re.MULTILINE))
    assert told["xcache_up"] == "1"
    # one cold read of 5000 bytes, then one from disk
    assert told['xcache_delivered_bytes_total{result="miss"}'] == "5000"
    assert told['xcache_delivered_bytes_total{result="hit"}'] == "5000"
    assert told['xcache_datagrams_total{result="refused"}'] == "0"
    assert int(told["xcache_origin_opens_total"]) >= 1
    assert int(told["xcache_opens_total"]) >= 2
    number = ".".join(map(str, xcache_pod.version))
    assert f'version="v{number}"' in text


def test_secrets_are_for_the_owner_only_when_the_image_copied_them(xcache_pod: PodRun) -> None:
    for name in ("run/tls.key", "proxy/proxy.pem"):
        assert (xcache_pod.folder / name).stat().st_mode & 0o777 == 0o400
    # what the proxy was made of is gone
    assert [path.name for path in (xcache_pod.folder / "proxy").iterdir()] == ["proxy.pem"]
