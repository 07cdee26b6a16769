"""A run that lies somewhere is found, and what lies there instead of one does no harm."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import worklogs

from loopctl.api import worklog_of
from loopctl.errors import LoopctlError, NotFoundError
from loopctl.journal.archives import ArtefactError, opened_archive, unpack
from loopctl.journal.artefacts import FoundRun, found_run
from loopctl.journal.codec import redacted
from loopctl.redact import Redactor

RUN = worklogs.RUN_ID
OTHER = "20250911-203000-golden-path-9f9f"
Files = Mapping[str, bytes]
Make = Callable[[Path, Files], Path]


def journal(run_id: str = RUN) -> bytes:
    lines = (redacted(event, Redactor({}))[1] for event in worklogs.red().events)
    return "".join(f"{line}\n" for line in lines).replace(RUN, run_id).encode()


FILES = {"journal.jsonl": journal(), "logs/1/chat.jsonl": b"{}\n", "trees/1/big.bin": b"x" * 99}


def below(folder: str, files: Files = FILES) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


def as_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def as_tar(path: Path, files: Files, mode: str = "w:") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def as_tar_gz(path: Path, files: Files) -> Path:
    return as_tar(path, files, "w:gz")


def as_folder(path: Path, files: Files) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


MAKERS = [as_zip, as_tar, as_tar_gz, as_folder]


def looked_at(runs_dir: Path, ref: str | Path) -> FoundRun:
    """The run, read whole."""
    with found_run(runs_dir, str(ref)) as found:
        assert worklog_of(found.folder).run.run_id == found.folder.name
        return found


def refused(tmp_path: Path, path: Path) -> ArtefactError:
    with pytest.raises(ArtefactError) as error, found_run(tmp_path / "none", str(path)):
        pass
    assert error.value.exit_code == 2
    return error.value


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("folder", [RUN, f"./artefact/.loopctl/runs/{RUN}"])
def test_the_run_in_it_is_found_wherever_in_it_it_lies(
    make: Make, folder: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "artefact", below(folder))
    with found_run(tmp_path / "none", str(path)) as found:
        assert found.elsewhere
        assert found.folder.name == RUN
        assert worklog_of(found.folder).ended is not None
        assert (found.folder / "logs/1/chat.jsonl").is_file()
        kept = found.folder
    assert kept.exists() is (make is as_folder), "what was unpacked is gone"


def test_a_journal_is_a_run_whatever_its_file_is_called(tmp_path: Path) -> None:
    as_folder(tmp_path / RUN, FILES)
    assert looked_at(tmp_path, tmp_path / RUN / "journal.jsonl").folder == tmp_path / RUN
    alone = tmp_path / "downloaded.json"
    alone.write_bytes(journal())
    assert looked_at(tmp_path, alone).packed


def test_a_run_of_this_project_is_the_same_by_its_path_as_by_its_id(tmp_path: Path) -> None:
    as_folder(tmp_path / "runs" / RUN, FILES)
    by_id, by_path = looked_at(tmp_path, RUN[:-2]), looked_at(tmp_path, tmp_path / "runs" / RUN)
    assert by_id.folder == by_path.folder
    assert not by_id.elsewhere
    assert not by_path.elsewhere
    for nothing in ("nothing", "", "n" * 5000, "\0", "#", "~nobody", "a#b"):
        with pytest.raises(NotFoundError), found_run(tmp_path, nothing):
            pass
    for nowhere in ("~nobody/x", "/" + "n" * 5000, "a/\0", "/x#y"):
        with pytest.raises(LoopctlError), found_run(tmp_path, nowhere):
            pass


@pytest.mark.parametrize("make", MAKERS)
def test_of_several_runs_the_one_that_is_named(make: Make, tmp_path: Path) -> None:
    others = below(f"runs/{OTHER}", {**FILES, "journal.jsonl": journal(OTHER)})
    path = make(tmp_path / "two", {**below(f"runs/{RUN}"), **others})
    told = str(refused(tmp_path, path))
    assert f"2 runs are in it: {OTHER}, {RUN}" in told
    assert f"name one: {path}#{OTHER}" in told
    for name in (RUN, OTHER):
        assert looked_at(tmp_path, f"{path}#{name[:8]}").folder.name == name
    assert "no such run" in str(refused(tmp_path, Path(f"{path}#2099")))


@pytest.mark.parametrize("make", MAKERS)
def test_what_holds_no_run_says_so(make: Make, tmp_path: Path) -> None:
    assert "no run is in it" in str(refused(tmp_path, make(tmp_path / "a", {"a.txt": b"b"})))
    assert "no run is in it" in str(refused(tmp_path, make(tmp_path / "b", {"logs/x": b""})))


def test_a_damaged_journal_in_it_is_told_by_the_name_of_what_was_given(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "a", below(RUN, {"journal.jsonl": b"no\n"}))
    with pytest.raises(ArtefactError) as error, found_run(tmp_path, str(path)) as found:
        worklog_of(found.folder)
    assert str(error.value).startswith(f"{path}: line 1 of the journal cannot be read")


def test_a_path_that_leads_nowhere_and_what_is_nothing_of_a_run_say_so(tmp_path: Path) -> None:
    assert "no such run" in str(refused(tmp_path, tmp_path / "gone.zip"))
    for name, data in {"a.zip": b"", "b.zip": b"junk" * 99, "c.jsonl": b"[]\n"}.items():
        (tmp_path / name).write_bytes(data)
        assert "nothing of a run" in str(refused(tmp_path, tmp_path / name))


@pytest.mark.parametrize("make", [as_zip, as_tar, as_tar_gz])
@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "..\\out", "n" * 2000])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(
    make: Make, name: str, tmp_path: Path
) -> None:
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    told = str(refused(tmp_path, make(place / "a", {**FILES, name: b"bad"})))
    assert "leads elsewhere" in told
    assert not list(tmp_path.rglob("out*"))


@pytest.mark.parametrize("make", [as_zip, as_folder])
def test_a_run_that_is_there_twice_is_not_chosen_by_chance(make: Make, tmp_path: Path) -> None:
    twice = {**below(f"one/{RUN}"), **below(f"two/{RUN}")}
    assert "is in it twice" in str(refused(tmp_path, make(tmp_path / "a", twice)))


def test_files_below_hundreds_of_folders_are_refused(tmp_path: Path) -> None:
    deep = {**FILES, "a/" * 400 + "x": b""}
    assert "more than 24 folders" in str(
        refused(tmp_path, as_zip(tmp_path / "a", below(RUN, deep)))
    )


def test_links_and_devices_are_never_made(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{RUN}/{kind!r}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        link = tarfile.TarInfo(f"{RUN}/journal.jsonl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "no run is in it" in str(refused(tmp_path, path))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        linked = zipfile.ZipInfo(f"{RUN}/logs")
        linked.external_attr = 0o120777 << 16
        archive.writestr(linked, "/etc")
        archive.writestr(f"{RUN}/journal.jsonl", journal())
    with found_run(tmp_path, str(tmp_path / "a.zip")) as found:
        assert [path.name for path in found.folder.iterdir()] == ["journal.jsonl"]


@pytest.mark.parametrize("make", [as_zip, as_tar, as_tar_gz])
def test_what_comes_out_is_bounded_whatever_it_is_packed_to(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "bomb", {**FILES, "zeros": b"\0" * (4 << 20)})
    with (
        pytest.raises(ArtefactError, match="more than 1 MiB"),
        opened_archive(path, tmp_path, most=1 << 20) as archive,
    ):
        unpack(archive, "", tmp_path / "into", most=1 << 20)
    written = sum(file.stat().st_size for file in (tmp_path / "into").rglob("*"))
    assert written < 2 << 20


@pytest.mark.slow
def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "many.zip", {f"{n}": b"" for n in range(50_001)})
    assert "more than 50,000 files" in str(refused(tmp_path, path))


def test_a_header_that_claims_to_be_huge_is_not_believed(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("x")
    huge.type, huge.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "a.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
    assert "damaged" in str(refused(tmp_path, tmp_path / "a.tar"))
    data = bytearray(as_zip(tmp_path / "a.zip", FILES).read_bytes())
    data[-10:-6] = (0x7FFFFFFF).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    assert "files" in str(refused(tmp_path, tmp_path / "a.zip"))


def test_an_encrypted_one_and_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "a.zip", {"journal.jsonl": journal()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in str(refused(tmp_path, path))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("journal.jsonl"))
    assert "two files of one name" in str(refused(tmp_path, tmp_path / "a.tar"))


@pytest.mark.parametrize("make", [as_zip, as_tar, as_tar_gz])
def test_cut_and_damaged_ones_end_in_a_clear_error_or_in_what_is_whole(
    make: Make, tmp_path: Path
) -> None:
    whole = make(tmp_path / "whole", below(RUN)).read_bytes()
    dice, path, told = random.Random(8), tmp_path / "broken", list[str]()
    for number in range(60):
        broken = bytearray(whole[: dice.randrange(len(whole))] if number % 2 else whole)
        for _ in range(3 if not number % 2 else 0):
            broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
        path.write_bytes(broken)
        try:
            with found_run(tmp_path, str(path)) as found:
                worklog_of(found.folder)
        except LoopctlError as error:
            told.append(str(error))
    assert len(told) > 20
    assert all(len(each) > 20 and "\x1b" not in each for each in told)
