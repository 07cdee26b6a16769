"""A layer is read as it comes: by its digests, within bounds, and as an engine reads it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest

from loopctl.builders.layer_stream import Budget, opened_layer, packed, unpacked
from loopctl.builders.registry_errors import NotAsNamedError, UnreadableError
from loopctl.builders.registry_manifest import Blob
from loopctl.engine.layer_tar import Layer, read_layer


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob_of(data: bytes) -> Blob:
    return Blob("application/x", sha(data), len(data))


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def member(name: str, content: bytes = b"", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def tar(members: Sequence[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def read(data: bytes, *, diff_id: str | None = None, budget: Budget | None = None) -> Layer:
    blob = blob_of(data)
    budget = budget or Budget()
    unzipped = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    stream = unpacked(packed(pieces(data), blob), blob, diff_id or sha(unzipped), budget)
    with opened_layer(stream, blob, budget) as archive:
        return read_layer(archive, None)


def git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


APP = tar(
    [
        member("app/", type=tarfile.DIRTYPE, mode=0o755),
        member("app/main.py", b"print(1)\n", mode=0o644, mtime=7),
        member("app/empty", mode=0o600),
        member("app/run", b"x" * 512, mode=0o4755),
        member("app/link", type=tarfile.SYMTYPE, linkname="main.py"),
        member("app/same", type=tarfile.LNKTYPE, linkname="app/run"),
        member("app/.wh.gone", b""),
        member("app/sub/.wh..wh..opq", b""),
        member("dev/null", type=tarfile.CHRTYPE),
    ]
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_layer_is_its_files_with_their_hashes_and_what_it_takes_away(compress: type) -> None:
    layer = read(compress(APP))
    found = {path: (each.kind, each.mode, each.blob) for path, each in layer.entries.items()}
    assert found == {
        "/app": ("folder", 0o755, ""),
        "/app/main.py": ("file", 0o644, git(b"print(1)\n")),
        "/app/empty": ("file", 0o600, git(b"")),
        "/app/run": ("file", 0o4755, git(b"x" * 512)),
        "/app/link": ("link", 0o644, git(b"main.py")),
        "/app/same": ("file", 0o4755, git(b"x" * 512)),
        "/dev/null": ("other", 0o644, ""),
    }
    assert layer.entries["/app/main.py"].mtime == 7
    assert layer.removed == frozenset({"/app/gone"})
    assert layer.emptied == frozenset({"/app/sub"})
    assert layer.links == {"/app/link": "main.py"}


def test_names_of_any_length_are_read_in_both_formats() -> None:
    name = f"a/{'ü' * 200}/{'b' * 180}"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert f"/{name}" in read(tar([member(name, b"1")], form)).entries


def test_gzip_of_many_members_is_one_layer() -> None:
    """As builders make it that let single files be fetched."""
    data = b"".join(gzip.compress(APP[at : at + 512]) for at in range(0, len(APP), 512))
    assert read(data) == read(APP)


def test_an_empty_layer_is_empty() -> None:
    for data in (bytes(1024), gzip.compress(bytes(1024)), APP[:0] + tar([])):
        assert read(data).entries == {}


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "./etc/passwd", "a/../../etc/passwd", "//etc//passwd"],
)
def test_no_name_leads_out_of_the_image(name: str) -> None:
    assert list(read(tar([member(name, b"x")])).entries) == ["/etc/passwd"]


def test_other_bytes_than_the_digests_are_told() -> None:
    blob = blob_of(APP)
    for other in (APP[:-1], APP[:-1] + b"x", APP.replace(b"print(1)", b"print(2)")):
        with pytest.raises(NotAsNamedError, match="the layer is not"):
            list(packed(pieces(other), blob))
    with pytest.raises(NotAsNamedError, match=f"does not end after {len(APP)} bytes"):
        list(packed(pieces(APP + b"x"), blob))


def test_a_layer_that_is_not_what_the_configuration_says_is_told() -> None:
    with pytest.raises(NotAsNamedError, match=f"unpacks to {sha(APP)}, not to"):
        read(gzip.compress(APP), diff_id=sha(b"another"))


def test_an_endless_layer_ends_where_its_manifest_says() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(4096)

    with pytest.raises(NotAsNamedError, match="does not end after 10000 bytes"):
        list(packed(endless(), Blob("x", sha(b""), 10_000)))


def test_what_cannot_be_unpacked_is_told() -> None:
    zipped = gzip.compress(APP)
    for broken in (zipped[:-20], zipped[:60] + b"\xff" * 40 + zipped[100:], zipped + b"garbage"):
        with pytest.raises(UnreadableError, match="cannot be unpacked"):
            read_raw(broken)
    with pytest.raises(UnreadableError, match="zstd, which is not read here"):
        read_raw(b"\x28\xb5\x2f\xfd" + bytes(100))


def read_raw(data: bytes) -> None:
    for _ in unpacked(packed(pieces(data), blob_of(data)), blob_of(data), sha(b""), Budget()):
        pass


def test_a_bomb_is_bounded_by_what_an_image_may_unpack_to() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    assert len(bomb) < 100_000
    blob, budget = blob_of(bomb), Budget(8 << 20)
    tracemalloc.start()
    try:
        stream = unpacked(packed(pieces(bomb, 65536), blob), blob, sha(b""), budget)
        with (
            pytest.raises(UnreadableError, match="unpacks to more than 8 MiB"),
            opened_layer(stream, blob, budget) as archive,
        ):
            read_layer(archive, None)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_the_number_of_files_is_bounded() -> None:
    data = tar([member(f"f{number}") for number in range(50)])
    assert len(read(data, budget=Budget(files=60)).entries) == 50
    with pytest.raises(UnreadableError, match="more than 20 files"):
        read(data, budget=Budget(files=20))


def _huge_header(kind: bytes) -> bytes:
    """A header that says it is 100 MB long, and is."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 100 << 20
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(info.size) + APP


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_no_header_takes_more_memory_than_a_header_may(kind: bytes) -> None:
    data = _huge_header(kind)
    blob, stream = blob_of(data), pieces(data, 65536)
    tracemalloc.start()
    try:
        with (
            pytest.raises(UnreadableError, match="a header of it is too large"),
            opened_layer(stream, blob, Budget()) as archive,
        ):
            read_layer(archive, None)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_empty_files_are_no_large_header() -> None:
    data = tar([member(f"f{number}") for number in range(9000)])
    assert len(read(data).entries) == 9000


def with_bad_checksum() -> bytes:
    """Behind it Python's tarfile sees an end, and others another main.py."""
    bad = bytearray(tar([member("x", b"1")])[:1024])
    bad[150] ^= 0xFF
    return APP[:1536] + bytes(bad) + tar([member("app/main.py", b"evil")])


def negative() -> bytes:
    info = tarfile.TarInfo("x")
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[124:136] = b"\xff" * 11 + b"\x00"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (with_bad_checksum(), "something behind its end"),
        (APP[: -len(APP) % 512 - 1024] + bytes(512) + APP, "something behind its end"),
        (APP + b"garbage", "something behind its end"),
        (b"no tar at all" * 100, ""),
        (APP[:700], ""),
        (APP[:1100], "unexpected end of data"),
        (negative(), ""),
    ],
)
def test_what_another_reader_might_read_otherwise_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=f"no tar that can be read.*{said}"):
        read(data)


@pytest.mark.parametrize("name", ["path", "linkpath", "size", "GNU.sparse.name"])
def test_attributes_for_all_members_are_refused_where_they_mean_something(name: str) -> None:
    made = io.BytesIO()
    with tarfile.open(
        fileobj=made, mode="w", format=tarfile.PAX_FORMAT, pax_headers={name: "5"}
    ) as archive:
        archive.addfile(*member("a")[:1])
    with pytest.raises(UnreadableError, match="attributes for all of its members"):
        read(made.getvalue())


def test_a_sparse_file_is_no_file_that_anybody_hashes() -> None:
    info = tarfile.TarInfo("zeros")
    info.pax_headers = {
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(1 << 50),
        "GNU.sparse.numblocks": "1",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    (entry,) = read(made.getvalue()).entries.values()
    assert (entry.kind, entry.blob) == ("other", "")


def test_random_bytes_end_in_an_error_or_a_layer() -> None:
    for seed in range(300):
        data = bytearray(APP)
        for at in range(3):
            digest = hashlib.sha256(f"{seed} {at}".encode()).digest()
            data[int.from_bytes(digest[:4]) % len(data)] = digest[5]
        with contextlib.suppress(UnreadableError):
            read(bytes(data))
