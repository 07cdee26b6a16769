"""What the git source and the local builder promise; with real git and real build steps."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loopctl.builders.git_source import GitSources
from loopctl.builders.local import LocalBuilder
from loopctl.errors import Stopped
from loopctl.evidence.blobs import blob_of, read_tree, tree_digest
from loopctl.model.artifact import Artifact, SourceTree
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.ports.builder import BuildError, BuildStorageError, Noticed, Progress
from loopctl.ports.source import SourceError
from loopctl.process import Stop
from loopctl.redact import Redactor

SECRET = "hunter2-correct-horse"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    allow = ["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *allow, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "service"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text("print('hello')\n")
    (folder / "start.sh").write_text("#!/bin/sh\n")
    (folder / "start.sh").chmod(0o755)
    (folder / "current").symlink_to("app/main.py")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def read(folder: Path) -> SourceTree:
    return GitSources().read(folder, Stop(30))


def paths(tree: SourceTree) -> set[str]:
    return {file.path for file in tree.files}


TRACKED = {".gitignore", "app/main.py", "current", "start.sh"}


# Source


def test_a_clean_tree_is_what_git_tracks_with_gits_own_names(repository: Path) -> None:
    tree = read(repository)
    listed = git(repository, "ls-files", "--stage").splitlines()
    ours = {f"{file.mode} {file.blob} 0\t{file.path}" for file in tree.files}
    assert ours == set(listed)
    assert (tree.dirty, tree.commit) == (False, git(repository, "rev-parse", "HEAD"))


def test_untracked_files_are_source_and_ignored_ones_are_not(repository: Path) -> None:
    (repository / "new.py").write_text("new")
    (repository / "debug.log").write_text("noise")
    tree = read(repository)
    assert paths(tree) == TRACKED | {"new.py"}
    assert tree.dirty


def test_a_deleted_file_is_not_source_though_git_tracks_it(repository: Path) -> None:
    (repository / "start.sh").unlink()
    tree = read(repository)
    assert paths(tree) == TRACKED - {"start.sh"}
    assert tree.dirty


def test_the_tree_is_as_it_is_now_not_as_it_was_committed(repository: Path) -> None:
    before = read(repository)
    (repository / "app" / "main.py").write_text("print('changed')\n")
    after = read(repository)
    assert after.commit == before.commit
    assert after.dirty
    assert after.digest != before.digest


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_tree_that_git_was_told_not_to_look_at_is_no_commits(repository: Path, flag: str) -> None:
    git(repository, "update-index", flag, "app/main.py")
    (repository / "app" / "main.py").write_text("print('changed')\n")
    assert git(repository, "status", "--porcelain") == ""
    assert read(repository).dirty


def test_an_executable_bit_alone_changes_the_tree(repository: Path) -> None:
    before = read(repository)
    (repository / "app" / "main.py").chmod(0o755)
    assert read(repository).digest != before.digest


def test_a_part_of_a_repository_is_read_without_the_rest(repository: Path) -> None:
    (repository / "start.sh").write_text("changed")
    tree = read(repository / "app")
    assert paths(tree) == {"main.py"}
    assert not tree.dirty


def test_a_submodule_is_not_taken_for_a_file(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "lib.py").write_text("lib")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "lib")
    git(repository, "submodule", "add", "-q", str(other), "vendored")
    assert paths(read(repository)) == TRACKED | {".gitmodules"}


def test_nothing_is_read_through_a_link_that_took_a_folders_place(
    repository: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (repository / "app").rename(elsewhere)
    (repository / "app").symlink_to(elsewhere)
    tree = read(repository)
    assert "app/main.py" not in paths(tree)
    assert "app" in paths(tree)


def test_a_repository_without_a_commit_has_source_but_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a")
    tree = read(tmp_path)
    assert paths(tree) == {"a.py"}
    assert (tree.commit, tree.dirty) == (None, True)


def test_without_git_a_folder_is_read_but_for_what_is_nobodys_source(tmp_path: Path) -> None:
    for path in ("a.py", "node_modules/x.js", ".venv/bin/python", "app/__pycache__/a.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    tree = read(tmp_path)
    assert paths(tree) == {"a.py"}
    assert (tree.commit, tree.dirty) == (None, False)


def test_a_hooks_variables_do_not_lead_to_another_repository(
    repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    code = (
        "import sys; from pathlib import Path\n"
        "from loopctl.builders.git_source import GitSources; from loopctl.process import Stop\n"
        "print(*sorted(f.path for f in GitSources().read(Path(sys.argv[1]), Stop(30)).files))"
    )
    hooked = {**os.environ, "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(repository)],
        env=hooked,
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == TRACKED


def test_a_missing_or_empty_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="holds no files"):
        read(tmp_path)


def test_a_stopped_run_reads_no_source(repository: Path) -> None:
    stop = Stop()
    stop.stop("SIGINT")
    with pytest.raises(Stopped):
        GitSources().read(repository, stop)


@pytest.mark.parametrize("tracked", [False, True])
def test_what_python_makes_of_source_is_none_where_no_gitignore_says_so(
    repository: Path, tracked: bool
) -> None:
    made = repository / "app" / "__pycache__" / "main.cpython-311.pyc"
    made.parent.mkdir()
    made.write_bytes(b"compiled")
    if tracked:
        git(repository, "add", "-f", ".")
        git(repository, "commit", "-q", "-m", "track what was compiled")
        made.write_bytes(b"compiled anew")
    tree = read(repository)
    assert paths(tree) == TRACKED
    assert not tree.dirty
    assert GitSources().uncommitted(repository, Stop(30)) == ()


def test_commits_since_then_touch_the_folder_and_come_newest_first(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    for name in ("app/two.py", "elsewhere.py", "app/three.py"):
        (repository / name).write_text(name)
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", f"add {name}")
    head = git(repository, "rev-parse", "HEAD")
    lines = GitSources().commits_between(repository / "app", first, head, Stop(30))
    assert [line.subject for line in lines] == ["add app/three.py", "add app/two.py"]
    assert lines[0].commit == head
    assert [line.files for line in lines] == [("three.py",), ("two.py",)]


def test_edits_that_no_commit_holds_are_named_below_the_folder(repository: Path) -> None:
    for name in ("app/\x01odd\nname.py", "app/new.py", "elsewhere.py"):
        (repository / name).write_text("new")
    (repository / "app" / "main.py").write_text("edited")
    untold = GitSources().uncommitted(repository / "app", Stop(30))
    assert set(untold) == {"\\x01odd name.py", "main.py", "new.py"}


def test_outside_git_there_are_no_edits_to_tell(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("new")
    assert GitSources().uncommitted(tmp_path, Stop(30)) == ()


def test_a_commit_that_git_does_not_know_is_not_called_no_commits(repository: Path) -> None:
    with pytest.raises(SourceError, match="git does not know 00000000000") as refused:
        GitSources().commits_between(repository, "0" * 40, "HEAD", Stop(30))
    assert "git fetch --unshallow" in str(refused.value.hint)


# Blobs


def test_hashes_are_gits_own(tmp_path: Path) -> None:
    for name, content in {"empty": b"", "text": b"hello\n", "big": bytes(3 << 20)}.items():
        (tmp_path / name).write_bytes(content)
        assert blob_of(tmp_path / name)[0] == git(tmp_path, "hash-object", "--no-filters", name)


def test_a_pipe_in_a_tree_is_an_error_and_never_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="neither a file nor a link"):
        read_tree(tmp_path)


# Builds


class Workshop:
    """A builder, what it reported, and the log of its last build."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.log = folder / "run" / "build" / "1" / "chat.log"
        self.steps: list[str] = []
        environ = {"PATH": os.environ["PATH"], "TOKEN": SECRET}
        self.builder = LocalBuilder(self.images, Redactor({"TOKEN": SECRET}), environ)

    def build(self, source: SourceTree, *steps: str, stop: Stop | None = None) -> Artifact:
        stop = stop or Stop(30)
        return self.builder.build(spec(*steps), source, self.log, self._note, stop)

    def _note(self, told: Progress | Noticed) -> None:
        assert isinstance(told, Progress)
        self.steps.append(told.step)

    def left_over(self) -> list[Path]:
        return list(self.images.glob(".*"))


def spec(*steps: str) -> ServiceSpec:
    return ServiceSpec("chat", BuildSpec("local", steps=steps), RunSpec(), HealthSpec())


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_an_image_is_the_source_to_the_last_bit(repository: Path, workshop: Workshop) -> None:
    source = read(repository)
    artifact = workshop.build(source)
    image = Path(artifact.location)
    assert artifact.digest == source.digest == artifact.source_tree
    assert image.name == artifact.digest.removeprefix("sha256:")
    assert (image / "current").readlink() == Path("app/main.py")
    assert stat.S_IMODE((image / "start.sh").stat().st_mode) == 0o755
    proof = workshop.builder.prove(artifact, source, spec(), Stop(30))
    assert proof.holds
    assert proof.image_tree == source.digest
    assert not workshop.left_over()


def test_steps_run_in_the_copy_and_are_reported(repository: Path, workshop: Workshop) -> None:
    source = read(repository)
    steps = ("echo built > made.txt", "test -f made.txt")
    artifact = workshop.build(source, *steps)
    assert not (repository / "made.txt").exists()
    assert workshop.steps == ["copy 4 files", *steps]
    proof = workshop.builder.prove(artifact, source, spec(*steps), Stop(30))
    assert proof.holds
    assert proof.extra == ("made.txt",)
    assert any("1 files made by 2 build steps" in said for said in proof.not_covered)


def test_a_failing_step_is_quoted_with_its_code_and_place(
    repository: Path, workshop: Workshop
) -> None:
    step = "for n in 1 2 3 4 5 6 7; do echo line $n; done; echo went wrong >&2; exit 7"
    with pytest.raises(BuildError) as raised:
        workshop.build(read(repository), "true", step, "touch never")
    error = raised.value
    assert (error.step_exit, error.step) == (7, step)
    said = [quote.quote for quote in error.quotes]
    assert said == ["line 4", "line 5", "line 6", "line 7", "went wrong"]
    for quote in error.quotes:
        number = int(quote.source.removeprefix("build/1/chat.log#"))
        assert workshop.log.read_text().splitlines()[number - 1] == quote.quote
    assert not workshop.left_over()


def test_a_step_stops_at_its_first_failing_command(repository: Path, workshop: Workshop) -> None:
    with pytest.raises(BuildError, match="exit code 1"):
        workshop.build(read(repository), "false\necho not reached")
    assert "not reached" not in workshop.log.read_text().split("\n", 2)[2]


def test_a_secret_is_in_no_log_and_no_quote(repository: Path, workshop: Workshop) -> None:
    with pytest.raises(BuildError) as raised:
        workshop.build(read(repository), 'echo "the token is $TOKEN"; exit 1')
    assert SECRET not in workshop.log.read_text()
    assert "the token is [redacted:TOKEN]" in workshop.log.read_text()
    assert SECRET not in repr(raised.value.quotes)
    assert stat.S_IMODE(workshop.log.stat().st_mode) == 0o600


def test_a_deadline_ends_a_step_and_leaves_nothing(repository: Path, workshop: Workshop) -> None:
    with pytest.raises(BuildError, match="stopped: deadline"):
        workshop.build(read(repository), "sleep 60", stop=Stop(0.5))
    assert not workshop.left_over()


def test_a_step_that_goes_quietly_when_stopped_is_not_taken_for_done(
    repository: Path, workshop: Workshop
) -> None:
    quiet = "trap 'exit 0' INT; touch $PWD/../started; while :; do sleep 0.05; done"
    stop = Stop(30)
    watcher = threading.Thread(target=_stop_when, args=(stop, (workshop.images / "started").exists))
    watcher.start()
    with pytest.raises(BuildError, match="stopped: SIGINT"):
        workshop.build(read(repository), quiet, stop=stop)
    watcher.join()


def _stop_when(stop: Stop, happened: Callable[[], bool]) -> None:
    while not happened():
        stop.wait(0.02)
    stop.stop(signal.Signals.SIGINT.name)


def test_a_tampered_image_of_the_same_name_is_replaced(
    repository: Path, workshop: Workshop
) -> None:
    source = read(repository)
    first = workshop.build(source)
    (Path(first.location) / "app" / "main.py").write_text("stale")
    (Path(first.location) / "left-behind.py").write_text("stale")
    second = workshop.build(source)
    assert second.location == first.location
    assert tree_digest(read_tree(Path(second.location))) == source.digest


def test_what_an_earlier_build_made_is_not_there_for_the_next(
    repository: Path, workshop: Workshop
) -> None:
    step = "test ! -e cache && touch cache"
    assert (
        workshop.build(read(repository), step).digest
        == workshop.build(read(repository), step).digest
    )


@pytest.mark.parametrize("change", ["edited", "deleted"])
def test_source_that_changes_after_it_was_read_fails_the_build(
    repository: Path, workshop: Workshop, change: str
) -> None:
    source = read(repository)
    file = repository / "app" / "main.py"
    if change == "edited":
        file.write_text("print('other')\n")
    else:
        file.unlink()
    with pytest.raises(BuildError, match=r"app/main.py changed while it was copied"):
        workshop.build(source)
    assert not workshop.left_over()


def test_the_proof_tells_stale_missing_mode_and_extra_apart(
    repository: Path, workshop: Workshop
) -> None:
    source = read(repository)
    artifact = workshop.build(source)
    image = Path(artifact.location)
    (image / "app" / "main.py").write_text("yesterday's")
    (image / "current").unlink()
    (image / "start.sh").chmod(0o644)
    (image / "extra.py").write_text("x")
    proof = workshop.builder.prove(artifact, source, spec(), Stop(30))
    assert proof.stale == ("app/main.py",)
    assert proof.missing == ("current",)
    assert proof.mode_differs == ("start.sh",)
    assert proof.extra == ("extra.py",)
    assert not proof.holds
    assert proof.image_tree != source.digest


def test_an_image_that_is_gone_proves_nothing(repository: Path, workshop: Workshop) -> None:
    source = read(repository)
    artifact = replace(workshop.build(source), location=str(workshop.images / "gone"))
    proof = workshop.builder.prove(artifact, source, spec(), Stop(30))
    assert set(proof.missing) == TRACKED
    assert not proof.holds


def test_a_step_that_leaves_a_pipe_is_an_error_and_never_a_wait(
    repository: Path, workshop: Workshop
) -> None:
    with pytest.raises(BuildError, match="neither a file nor a link") as raised:
        workshop.build(read(repository), "mkfifo pipe")
    assert not isinstance(raised.value, BuildStorageError)


def test_images_that_cannot_be_kept_are_named(repository: Path, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    workshop.images.write_text("a file where the folder belongs")
    with pytest.raises(BuildStorageError, match=r"cannot write .*images"):
        workshop.build(read(repository))


def test_a_disk_that_fills_during_a_build_is_no_fault_of_its_steps(
    repository: Path, tmp_path: Path
) -> None:
    workshop = Workshop(tmp_path)

    def full(told: Progress | Noticed) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(BuildStorageError, match="No space left on device") as raised:
        workshop.builder.build(spec("true"), read(repository), workshop.log, full, Stop(30))
    assert raised.value.hint == "free some disk or choose --runs-dir"
    assert not workshop.left_over()


def test_only_the_newest_images_of_earlier_runs_are_kept(repository: Path, tmp_path: Path) -> None:
    newest = ""
    for number in range(7):
        (repository / "version").write_text(str(number))
        newest = Workshop(tmp_path).build(read(repository)).location
    kept = list((tmp_path / "images").iterdir())
    assert len(kept) == 5
    assert Path(newest) in kept


def test_no_image_of_this_run_is_pruned_before_it_is_deployed(
    repository: Path, workshop: Workshop
) -> None:
    built = []
    for service in range(7):
        (repository / "version").write_text(str(service))
        source = read(repository)
        built.append((source, workshop.build(source)))
    for source, artifact in built:
        assert workshop.builder.prove(artifact, source, spec(), Stop(30)).holds


def test_a_second_service_of_the_same_source_leaves_the_firsts_image_alone(
    repository: Path, workshop: Workshop
) -> None:
    source = read(repository)
    first = Path(workshop.build(source).location).stat().st_ino
    assert Path(workshop.build(source).location).stat().st_ino == first
    assert not workshop.left_over()


def test_an_image_that_was_changed_since_is_not_taken_for_the_same(
    repository: Path, workshop: Workshop
) -> None:
    source = read(repository)
    (Path(workshop.build(source).location) / "app" / "main.py").write_text("stale")
    assert workshop.builder.prove(workshop.build(source), source, spec(), Stop(30)).holds


def test_lines_of_a_build_log_are_counted_as_editors_count_them(
    repository: Path, workshop: Workshop
) -> None:
    step = "printf '10%%\\r50%%\\r100%%\\n'; echo went wrong; exit 1"
    with pytest.raises(BuildError) as raised:
        workshop.build(read(repository), step)
    wrong = next(quote for quote in raised.value.quotes if quote.quote == "went wrong")
    number = int(wrong.source.rpartition("#")[2])
    assert workshop.log.read_bytes().split(b"\n")[number - 1] == b"went wrong"


def test_of_an_endless_line_the_end_is_quoted(repository: Path, workshop: Workshop) -> None:
    step = "head -c 200000 /dev/zero | tr '\\0' x; echo; echo went wrong; exit 1"
    with pytest.raises(BuildError) as raised:
        workshop.build(read(repository), step)
    places = [quote.source for quote in raised.value.quotes]
    assert len(places) == len(set(places))
    assert "went wrong" in [quote.quote for quote in raised.value.quotes]


def test_no_step_needs_no_shell(workshop: Workshop) -> None:
    assert not workshop.builder.check([spec()], Stop())
    assert not workshop.builder.check([spec("true")], Stop())
