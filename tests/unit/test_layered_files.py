"""Layers, one upon the other, are the files that a container begins with."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from loopctl.builders.layered_files import LayeredFiles
from loopctl.builders.registry_errors import UnreadableError
from loopctl.engine.entries import Entry
from loopctl.engine.layer_tar import Layer

DIR = Entry("folder", 0o755)


def file(word: str, mode: int = 0o644) -> Entry:
    return Entry("file", mode, word)


def layer(
    entries: Mapping[str, Entry | str],
    removed: tuple[str, ...] = (),
    emptied: tuple[str, ...] = (),
) -> Layer:
    """A text that begins with `-> ` is a link, any other a file with that blob."""
    links = {p: e[3:] for p, e in entries.items() if isinstance(e, str) and e.startswith("-> ")}
    found = {
        path: Entry("link", 0o777, links[path])
        if path in links
        else file(entry)
        if isinstance(entry, str)
        else entry
        for path, entry in entries.items()
    }
    return Layer(found, links, frozenset(removed), frozenset(emptied))


def read(layers: list[Layer], path: str = "/") -> Mapping[str, str]:
    """Files and links below a path, with their blobs."""
    found = LayeredFiles(layers).read(path, lambda _: True)
    return {where: entry.blob for where, entry in found.items() if entry.kind != "folder"}


def test_a_later_layer_wins() -> None:
    lower = layer({"/app": DIR, "/app/a": "1", "/app/b": "1"})
    assert read([lower, layer({"/app": DIR, "/app/a": "2"})]) == {"/app/a": "2", "/app/b": "1"}


def test_a_whiteout_takes_a_file_and_all_of_a_folder() -> None:
    lower = layer({"/a": DIR, "/a/x": "1", "/a/y": "1", "/b": DIR, "/b/c": DIR, "/b/c/d": "1"})
    assert read([lower, layer({}, removed=("/a/x", "/b"))]) == {"/a/y": "1"}


def test_what_comes_again_after_a_whiteout_is_alone() -> None:
    lower = layer({"/a": DIR, "/a/x": "1", "/a/y": "1"})
    gone = layer({}, removed=("/a",))
    assert read([lower, gone, layer({"/a": DIR, "/a/z": "3"})]) == {"/a/z": "3"}


def test_an_opaque_folder_has_only_its_own() -> None:
    lower = layer({"/a": DIR, "/a/x": "1", "/a/b": DIR, "/a/b/y": "1", "/z": "1"})
    upper = layer({"/a": DIR, "/a/n": "2"}, emptied=("/a",))
    assert read([lower, upper]) == {"/a/n": "2", "/z": "1"}
    assert read([lower, layer({}, emptied=("/",))]) == {}


def test_a_file_in_place_of_a_folder_hides_what_was_in_it_for_ever() -> None:
    layers = [
        layer({"/a": DIR, "/a/x": "1"}),
        layer({"/a": "file"}),
        layer({"/a": DIR, "/a/y": "3"}),
    ]
    assert read(layers[:2]) == {"/a": "file"}
    assert read(layers) == {"/a/y": "3"}


def test_a_link_in_place_of_a_folder_leads_elsewhere() -> None:
    layers = [layer({"/a": DIR, "/a/x": "1", "/b": DIR, "/b/y": "2"}), layer({"/a": "-> b"})]
    assert read(layers, "/a") == {"/a/y": "2"}
    assert read(layers) == {"/a": "b", "/b/y": "2"}


def test_links_are_followed_on_the_way_and_at_a_folders_name_and_never_below() -> None:
    image = [
        layer(
            {
                "/srv": DIR,
                "/srv/app": DIR,
                "/srv/app/main.py": "1",
                "/srv/app/self": "-> /srv/app",
                "/app": "-> srv/app",
                "/top": "-> ../../app",
                "/main": "-> app/main.py",
                "/round": "-> round",
            }
        )
    ]
    assert read(image, "/app") == {"/app/main.py": "1", "/app/self": "/srv/app"}
    assert read(image, "/top/main.py") == {"/top/main.py": "1"}
    assert read(image, "/main") == {"/main": "app/main.py"}
    assert read(image, "/round") == {"/round": "round"}
    assert read(image, "/round/x") == read(image, "/nowhere") == {}


def test_a_folder_that_no_layer_names_is_there_for_what_is_in_it() -> None:
    found = LayeredFiles([layer({"/a/b/c": "1"})]).read("/a", lambda _: True)
    assert {path: entry.kind for path, entry in found.items()} == {
        "/a/b": "folder",
        "/a/b/c": "file",
    }


def test_modes_are_those_of_the_layer_that_has_them_last() -> None:
    lower = layer({"/a": DIR, "/a/x": file("1", 0o644)})
    upper = layer({"/a": Entry("folder", 0o700), "/a/x": file("1", 0o755)})
    found = LayeredFiles([lower, upper]).read("/", lambda _: True)
    assert {path: entry.mode for path, entry in found.items()} == {"/a": 0o700, "/a/x": 0o755}


def test_what_is_not_wanted_comes_without_its_hash() -> None:
    found = LayeredFiles([layer({"/a/x": "1", "/a/y": "2"})]).read("/a", lambda p: p == "/a/y")
    assert {path: entry.blob for path, entry in found.items()} == {"/a/x": "", "/a/y": "2"}


@pytest.mark.parametrize(
    "layers",
    [
        # A link, and through it another file than the one that everybody looks at.
        [layer({"/app": DIR, "/app/main.py": "good", "/a": "-> /app", "/a/main.py": "evil"})],
        # The same by two layers: one engine goes through the link, the other replaces it.
        [
            layer({"/app": DIR, "/app/main.py": "good", "/a": "-> /app"}),
            layer({"/a/main.py": "evil"}),
        ],
        [layer({"/a": "file"}), layer({"/a/b": "1"})],
        [layer({"/a": "1"}, removed=("/a",))],
    ],
)
def test_what_engines_do_not_agree_upon_is_refused(layers: list[Layer]) -> None:
    with pytest.raises(UnreadableError, match="depends on who unpacks it"):
        LayeredFiles(layers)


def test_a_folder_that_replaces_a_link_is_clear_to_everybody() -> None:
    lower = layer({"/app": DIR, "/app/main.py": "good", "/a": "-> /app"})
    assert read([lower, layer({"/a": DIR, "/a/x": "1"})]) == {"/app/main.py": "good", "/a/x": "1"}
