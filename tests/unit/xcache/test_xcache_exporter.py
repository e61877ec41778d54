"""An XCache's counters: read with suspicion, told in Prometheus' words."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_hub.xcache import closings, report
from af_hub.xcache.closings import Totals, parse_closings
from af_hub.xcache.exporter import Board, make_server
from af_hub.xcache.metrics import METRICS, Sample, exposition, report_samples
from af_hub.xcache.report import ReportRefused, parse_report

if TYPE_CHECKING:
    from collections.abc import Iterator

# what Debian's xrootd 5.5.3 sent, shortened by sections that are not read; <hits>0></hits> is its own
REPORT = (
    b'<statistics tod="1795277083" ver="v5.5.3" src="cache:2094" tos="1795277078" pgm="xrootd" '
    b'ins="anon" pid="26065" site="">'
    b'<stats id="info"><host>cache</host><port>2094</port><name>anon</name></stats>'
    b'<stats id="link"><num>1</num><maxn>1</maxn><tot>22</tot><in>24003</in><out>59597</out>'
    b"<ctime>0</ctime><tmo>0</tmo><stall>0</stall><sfps>0</sfps></stats>"
    b'<stats id="proc"><usr><s>2</s><u>55961</u></usr><sys><s>0</s><u>41950</u></sys></stats>'
    b'<stats id="xrootd"><num>22</num><ops><open>18</open><rf>0</rf><rd>9</rd><pr>0</pr><rv>3</rv>'
    b"</ops><err>17</err><lgn><num>12</num><af>1</af><au>10</au><ua>0</ua></lgn></stats>"
    b'<stats id="pss"><open>4<errs>2</errs></open><close>1<errs>0</errs></close></stats>'
    b'<stats id="cache" type="pfc"><rd><in>0</in><out>0</out><hits>0></hits><miss>0</miss></rd>'
    b"<store><size>270553174016</size><used>0</used></store>"
    b"<mem><size>1073741824</size><used>0</used><wq>0</wq></mem></stats></statistics>\0"
)
CLOSED = (
    b'{"event":"file_close","lfn":"/store/cms/f","size":5000,"blk_size":262144,"n_blks":1,'
    b'"n_blks_done":1,"access_cnt":1,"attach_t":1795277080,"detach_t":1795277080,'
    b'"remotes":["localhost:1094"],"b_hit":7,"b_miss":5000,"b_bypass":11,"n_cks_errs":0}'
)
CLOSED_6 = CLOSED.replace(b'"n_cks', b'"b_todisk":5000,"b_prefetch":0,"n_cks')

MANY = b"".join(b"<a%d/>" % number for number in range(report.MAX_VALUES + 1))


def test_numbers_are_read_when_a_report_arrives() -> None:
    found = parse_report(REPORT)
    assert found.number("link.in") == 24003
    # an element with a number and elements in it
    assert found.number("pss.open") == 4
    assert found.number("pss.open.errs") == 2
    # 5.5.3 writes one > too many
    assert found.number("cache.rd.hits") == 0
    assert found.number("info.host") is None
    assert found.number("nothing.here") is None
    assert found.started == 1795277078
    told = {(sample.name, sample.label): sample.value for sample in report_samples(found)}
    assert told["xcache_cpu_seconds_total", 'mode="user"'] == 2.055961
    assert told["xcache_origin_open_errors_total", ""] == 2
    # every metric of the table is in a real report
    assert {metric.name for metric in METRICS} <= {name for name, _label in told}


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "it is not XML"),
        (b"<html></html>", "it is not an XRootD summary report"),
        (b"<statistics><stats", "it is not XML"),
        (b"<!DOCTYPE statistics><statistics/>", "it declares a document type"),
        (
            b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><statistics>&b;</statistics>',
            "it declares a document type",
        ),
        (b"<statistics>&a;</statistics>", "it is not XML"),
        (b"<statistics>" + b"<a>" * 40 + b"</a>" * 40 + b"</statistics>", "nested too deeply"),
        (b"<statistics>%b</statistics>" % MANY, "too many values"),
        (b"<statistics>" + b" " * report.MAX_BYTES + b"</statistics>", "too large"),
        (b"\xff\xfe<\x00", "it is not XML"),
    ],
)
def test_datagram_is_refused_when_it_is_no_report(datagram: bytes, why: str) -> None:
    with pytest.raises(ReportRefused, match=why):
        parse_report(datagram)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_nothing_but_a_refusal_comes_out_when_a_datagram_is_arbitrary(datagram: bytes) -> None:
    board = Board()
    board.take(datagram)
    board.take(b"{" + datagram)
    board.take(b"<statistics>" + datagram + b"</statistics>")
    assert 'xcache_datagrams_total{result="taken"}' in board.text()


@pytest.mark.parametrize("line", [CLOSED, CLOSED_6])
def test_bytes_are_added_up_when_files_were_closed(line: bytes) -> None:
    assert parse_closings(line + b"\n" + line + b"\0") == Totals(2, 14, 10000, 22, 0)


@pytest.mark.parametrize(
    "name",
    [
        b'x","b_hit":999,"y":"',
        b'"}',
        b'","b_hit":9,"b_miss":9,"b_bypass":9,"n_cks_errs":9}',
        b"\xff",
    ],
)
def test_names_of_files_change_no_number_when_they_look_like_json(name: bytes) -> None:
    """XRootD writes the name without escaping it."""
    line = CLOSED.replace(b"/store/cms/f", b"/store/" + name)
    assert parse_closings(line) == Totals(1, 7, 5000, 11, 0)


@given(st.binary(max_size=400))
def test_nothing_is_counted_when_lines_are_something_else(datagram: bytes) -> None:
    assert parse_closings(b"{" + datagram) == Totals()


def test_nothing_is_counted_when_a_datagram_is_larger_than_xrootd_sends() -> None:
    lines = (closings.MAX_BYTES + 1) // (len(CLOSED) + 1)
    assert parse_closings(b"\n".join([CLOSED] * lines)).files == lines
    assert parse_closings(b"\n".join([CLOSED] * (lines + 1))) == Totals()


def test_text_is_what_prometheus_reads_when_labels_are_odd() -> None:
    odd = REPORT.replace(b'src="cache:2094"', b'src="a&quot;b\\c&#10;d"')
    text = exposition(report_samples(parse_report(odd)))
    assert r'server="a\"b\\cd"' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert all(name.startswith("xcache_") for name in names)
    assert exposition([Sample("xcache_x_total", "X.", 1)]) == (
        "# HELP xcache_x_total X.\n# TYPE xcache_x_total counter\nxcache_x_total 1\n"
    )


def test_cache_is_down_when_its_report_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    assert "xcache_up 0\n" in board.text()
    assert board.take(REPORT) == ""
    assert board.take(CLOSED) == ""
    assert board.take(b"{}") != ""
    assert "xcache_up 1\n" in board.text()
    monkeypatch.setattr("af_hub.xcache.exporter.STALE", 0.0)
    text = board.text()
    assert "xcache_up 0\n" in text
    # no number of a cache that may be gone, but sums stay
    assert "xcache_connections " not in text
    assert 'xcache_delivered_bytes_total{result="miss"} 5000\n' in text
    assert 'xcache_datagrams_total{result="refused"} 1\n' in text


@pytest.fixture
def address() -> Iterator[str]:
    board = Board()
    board.take(REPORT)
    with make_server(("127.0.0.1", 0), board) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_metrics_are_answered_and_nothing_else_when_visited(address: str) -> None:
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert b"xcache_connections_total 22\n" in answer.read()
    for path, method in (("/", "GET"), ("/metrics/../etc/passwd", "GET"), ("/metrics", "POST")):
        request = urllib.request.Request(address + path, method=method)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.code in {404, 501}
        caught.value.close()
