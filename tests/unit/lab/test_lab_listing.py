"""The multistatus parser."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af_labextension.data.listing import Entry, Listing
from af_labextension.errors import NotAnswering

URL = "https://host:1/store/cms"


def response(href: str, *, folder: bool = False, size: str = "5") -> str:
    kind = "<D:collection/>" if folder else ""
    length = "" if folder else f"<D:getcontentlength>{size}</D:getcontentlength>"
    return (
        f"<D:response><D:href>{escape(href)}</D:href><D:propstat><D:prop>"
        f"<D:resourcetype>{kind}</D:resourcetype>{length}"
        "<D:getlastmodified>Thu, 01 Jan 1970 00:01:00 GMT</D:getlastmodified>"
        "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


def multistatus(*responses: str) -> bytes:
    body = "".join(responses)
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{body}</D:multistatus>'.encode()


def parse(
    document: bytes, *, step: int = 1 << 16, limit: int = 1000
) -> tuple[list[Entry], Listing]:
    listing = Listing(URL, limit=limit)
    entries: list[Entry] = []
    for start in range(0, len(document), step):
        entries += listing.feed(document[start : start + step])
    listing.close()
    return entries, listing


def test_entries_come_out_when_the_folder_names_itself_too() -> None:
    document = multistatus(
        response("/store/cms/", folder=True),
        response("/store/cms/sub/", folder=True),
        response("https://host:1/store/cms/a.root"),
    )
    entries, listing = parse(document)
    assert entries == [
        Entry("sub", "directory", None, 60.0, f"{URL}/sub"),
        Entry("a.root", "file", 5, 60.0, f"{URL}/a.root"),
    ]
    assert (listing.count, listing.left_out, listing.folder_is_file) == (2, 0, False)


@given(
    st.lists(
        st.text(
            st.characters(blacklist_characters="/", blacklist_categories=("Cc", "Cs")), min_size=1
        ).filter(lambda name: name not in {".", ".."}),
        unique=True,
        max_size=8,
    ),
    st.integers(1, 400),
)
def test_names_come_back_whole_when_they_are_odd_and_pieces_are_small(
    names: list[str], step: int
) -> None:
    document = multistatus(*(response(f"/store/cms/{quote(name)}") for name in names))
    entries, _ = parse(document, step=step)
    assert [entry.name for entry in entries] == names
    assert [entry.url for entry in entries] == [f"{URL}/{quote(name, safe='')}" for name in names]


@pytest.mark.parametrize("name", ["%", "a#b", "a b", "ä", "<script>alert(1)", "50%25", "a?b"])
def test_a_name_comes_back_whole_when_it_has_letters_that_urls_or_pages_use(name: str) -> None:
    entries, _ = parse(multistatus(response(f"/store/cms/{quote(name)}")))
    assert entries[0].name == name


@pytest.mark.parametrize(
    "href",
    [
        "/store/atlas/x",
        "/store/cms/sub/x",
        "/etc/passwd",
        "/store/cmsx",
        "",
        "http://[",
        "/store/cms/../x",
    ],
)
def test_an_entry_is_dropped_when_it_is_no_child_of_the_folder(href: str) -> None:
    entries, listing = parse(multistatus(response(href)))
    assert not entries
    assert listing.left_out == 0


@pytest.mark.parametrize("segment", ["a%0Ab", "%2E%2E", "%00", "a%2Fb"])
def test_an_entry_is_counted_but_not_shown_when_its_name_fits_no_path(segment: str) -> None:
    entries, listing = parse(multistatus(response(f"/store/cms/{segment}")))
    assert not entries
    assert listing.left_out == 1


def test_bytes_that_are_not_utf8_keep_a_working_url() -> None:
    entries, _ = parse(multistatus(response("/store/cms/%ff.root")))
    assert entries[0].name == "�.root"
    assert entries[0].url == f"{URL}/%FF.root"


@pytest.mark.parametrize("size", ["-1", "abc", "1e9", "9" * 25, ""])
def test_size_is_unknown_when_the_server_sends_no_number(size: str) -> None:
    entries, _ = parse(multistatus(response("/store/cms/a", size=size)))
    assert entries[0].size is None


def test_a_second_propstat_does_not_hide_the_first() -> None:
    document = multistatus(
        "<D:response><D:href>/store/cms/a</D:href>"
        "<D:propstat><D:prop><D:resourcetype/><D:getcontentlength>7</D:getcontentlength></D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
        "<D:propstat><D:prop><D:getcontentlength/></D:prop>"
        "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
    )
    entries, _ = parse(document)
    assert entries[0].size == 7


def test_only_the_limit_is_given_when_there_are_more() -> None:
    document = multistatus(*(response(f"/store/cms/{n}") for n in range(10)))
    entries, listing = parse(document, limit=4)
    assert len(entries) == 4
    assert listing.left_out == 6


def test_folder_is_file_when_the_asked_path_is_one() -> None:
    _, listing = parse(multistatus(response("/store/cms")))
    assert listing.folder_is_file


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>&b;</D:href></D:response></D:multistatus>'
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        b'<!DOCTYPE D:multistatus SYSTEM "file:///etc/passwd"><D:multistatus xmlns:D="DAV:"/>',
        b"<html><body>Login</body></html>",
        b"{}",
        b"",
        b"\x00\xff\xfe",
        b'<D:multistatus xmlns:D="DAV:"><D:response>',
        b'<multistatus xmlns="urn:other"/>',
        b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>' + b"a" * 100_000,
    ],
)
def test_garbage_is_named_so_when_the_answer_is_no_listing(document: bytes) -> None:
    with pytest.raises(NotAnswering) as error:
        parse(document)
    assert error.value.code == "storage-garbage"


@given(st.binary(max_size=300))
def test_any_bytes_give_a_listing_or_the_one_error(document: bytes) -> None:
    with suppress(NotAnswering):  # every other exception fails
        parse(document, step=7)
