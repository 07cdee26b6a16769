"""What the content proof of an image promises; real images, and real lies in them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from engine_rig import BASE, real_engine
from image_rig import LEGACY, Images, source_of, write

from loopctl.builders.context import context_of
from loopctl.builders.engine_images import EngineImages
from loopctl.builders.image_shelf import TREE_LABEL
from loopctl.builders.provenance import prove_image, roots_of
from loopctl.engine.contents import contents_of, image_facts
from loopctl.engine.errors import EngineError
from loopctl.engine.owners import owner_label
from loopctl.errors import Stopped
from loopctl.process import ProcessId, Stop

from image_rig import service  # isort: skip

DOCKERFILE = f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n"
APP: Mapping[str, str | tuple[str, int]] = {
    "main.py": "print(1)\n",
    "start.sh": ("#!/bin/sh\n", 0o755),
    "lib/a.py": "a = 1\n",
}


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    made = Images(real_engine())
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def nothing_is_left(images: Images) -> Iterator[None]:
    yield
    assert images.containers() == []


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write(tmp_path / "app", {**APP, "Dockerfile": DOCKERFILE})


def built(images: Images, folder: Path, **parameters: str) -> str:
    context = context_of(source_of(folder), "Dockerfile")
    return images.build(context, labels=images.labelled(folder), **parameters)


def test_an_image_of_the_source_holds_and_says_what_it_does_not_cover(
    images: Images, app: Path
) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN echo made > /made\n"})
    proof = images.prove(built(images, app), app)
    assert proof.holds
    assert proof.image_tree == proof.source_tree == proof.labelled
    assert proof.compared == 4
    assert (proof.extra, proof.altered) == ((), ())
    covered = " | ".join(proof.not_covered)
    assert f"the base image {BASE} (sha256:" in covered
    assert "what step 4 (RUN echo made > /made) has made" in covered


def test_the_incident_is_caught_an_old_image_with_the_new_label(images: Images, app: Path) -> None:
    old = built(images, app, tag=f"loopctl-test-{images.mark}:old")
    assert images.prove(old, app).holds
    write(app, {"main.py": "print(2)\n"})
    lie = write(app.parent / "lie", {"Dockerfile": f"FROM loopctl-test-{images.mark}:old\n"})
    context = context_of(source_of(lie), "Dockerfile")
    image = images.build(context, labels=images.labelled(app))
    proof = images.prove(image, app)
    assert proof.labelled == proof.source_tree
    assert not proof.holds
    assert proof.stale == ("main.py",)
    assert proof.image_tree != proof.source_tree


def test_a_file_that_the_source_has_no_more_makes_an_image_stale(images: Images, app: Path) -> None:
    write(app, {"lib/gone.py": "old"})
    old = built(images, app)
    (app / "lib/gone.py").unlink()
    proof = images.prove(old, app)
    assert not proof.holds
    assert proof.stale == ("/app/lib/gone.py (not in the source, put there by step 3 (COPY . .))",)
    assert proof.extra == ("/app/lib/gone.py",)
    assert proof.image_tree != proof.source_tree


@pytest.mark.slow
def test_a_change_of_owner_does_not_hide_a_file_of_before(images: Images, app: Path) -> None:
    write(app, {"lib/gone.py": "old", "Dockerfile": f"{DOCKERFILE}RUN chown -R 7 /app\n"})
    old = built(images, app)
    assert images.prove(old, app).holds
    (app / "lib/gone.py").unlink()
    assert not images.prove(old, app).holds


def test_what_a_step_makes_beside_the_source_is_extra_and_not_stale(
    images: Images, app: Path
) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN mkdir d && echo x > d/made && cp -a main.py m2\n"})
    proof = images.prove(built(images, app), app)
    assert proof.holds
    assert proof.extra == ("/app/d/made", "/app/m2")
    assert "2 files beside the copied ones: /app/d/made, /app/m2" in proof.not_covered


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("echo old > main.py", "stale"),
        ("rm lib/a.py", "missing"),
        ("chmod u+s start.sh", "mode_differs"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                ("chmod 644 start.sh", "mode_differs"),
                ("chmod 600 main.py", "mode_differs"),
                ("rm main.py; ln -s start.sh main.py", "stale"),
                ("rm main.py; mkdir main.py", "stale"),
                ("mv lib lib2; ln -s lib3 lib", "missing"),
                (": > main.py", "stale"),
            )
        ),
    ],
)
def test_each_way_to_differ_is_named(images: Images, app: Path, change: str, named: str) -> None:
    """An image that no Dockerfile explains: the step that did it has a name of its own."""
    image = images.commit(built(images, app), f"cd /app; {change}")
    proof = images.prove(image, app)
    assert not proof.holds
    (told,) = proof.undeclared
    assert "by layer " in told
    scratch = write(app.parent / "flat", {"Dockerfile": DOCKERFILE, **APP})
    write(scratch, {"main.py": "print(0)\n"})
    if named == "stale":
        assert images.prove(built(images, scratch), app).stale == ("main.py",)


def test_stale_missing_and_mode_are_told_apart(images: Images, app: Path) -> None:
    other = write(app.parent / "other", {"Dockerfile": DOCKERFILE, **APP})
    write(other, {"main.py": "print(0)\n", "start.sh": ("#!/bin/sh\n", 0o644)})
    (other / "lib/a.py").unlink()
    proof = images.prove(built(images, other), app)
    assert proof.stale == ("main.py",)
    assert proof.missing == ("lib/a.py",)
    assert proof.mode_differs == ("start.sh",)
    assert proof.undeclared == ()


@pytest.mark.parametrize("version", ["2", pytest.param(LEGACY, marks=pytest.mark.slow)])
def test_a_file_that_a_step_changed_is_told_from_a_stale_one(
    images: Images, app: Path, version: str
) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}ENV A=b\nRUN sed -i s/1/9/ lib/a.py\nRUN true\n"})
    image = built(images, app, version=version)
    proof = images.prove(image, app)
    assert not proof.holds
    assert proof.undeclared == ("lib/a.py: altered by step 4 (RUN sed -i s/1/9/ lib/a.py)",)
    assert (proof.stale, proof.altered) == ((), ())
    allowed = images.prove(image, app, alters=("lib/*.py",))
    assert allowed.holds
    assert allowed.altered == ("lib/a.py",)
    assert not images.prove(image, app, alters=("main.py",)).holds


@pytest.mark.slow
def test_alters_excuses_no_file_that_was_old_when_it_was_copied(images: Images, app: Path) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN true\n"})
    image = built(images, app)
    write(app, {"lib/a.py": "a = 2\n"})
    proof = images.prove(image, app, alters=("lib/**",))
    assert not proof.holds
    assert proof.stale == ("lib/a.py",)


@pytest.mark.slow
def test_a_step_that_puts_old_content_back_is_undeclared(images: Images, app: Path) -> None:
    write(app, {"main.py": "print(0)\n"})
    built(images, app, tag=f"loopctl-test-{images.mark}:before")
    write(app, {"main.py": "print(1)\n"})
    text = f"FROM loopctl-test-{images.mark}:before\nRUN cp -a /app /old\nCOPY . .\n"
    write(app, {"Dockerfile": f"{text}RUN cp -a /old/main.py /app/main.py\n"})
    proof = images.prove(built(images, app), app)
    assert not proof.holds
    assert proof.undeclared == ("main.py: altered by step 4 (RUN cp -a /old/main.py /app/main.py)",)


@pytest.mark.slow
def test_a_file_that_a_step_removed_is_named_with_it(images: Images, app: Path) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN rm -r lib\nRUN chmod 700 main.py\n"})
    image = built(images, app)
    proof = images.prove(image, app)
    assert proof.undeclared == (
        "lib/a.py: removed by step 4 (RUN rm -r lib)",
        "main.py: altered by step 5 (RUN chmod 700 main.py)",
    )
    assert images.prove(image, app, alters=("lib", "main.py")).holds


@pytest.mark.slow
def test_a_copy_from_another_image_over_the_source_is_undeclared(images: Images, app: Path) -> None:
    write(app, {"main.py": "print(0)\n"})
    built(images, app, tag=f"loopctl-test-{images.mark}:v0")
    copied = f"COPY --from=loopctl-test-{images.mark}:v0 /app/main.py ./\n"
    write(app, {"main.py": "print(1)\n", "Dockerfile": DOCKERFILE + copied})
    proof = images.prove(built(images, app), app)
    assert not proof.holds
    assert proof.undeclared[0].startswith("main.py: altered by step 4 (COPY --from=")
    assert any("of the image loopctl-test-" in each for each in proof.not_covered)


def test_what_goes_through_another_stage_is_proven_too(images: Images, app: Path) -> None:
    text = f"FROM {BASE} AS make\nCOPY . /src\nRUN echo bin > /src/bin\nFROM {BASE}\n"
    write(app, {"Dockerfile": f"{text}COPY --from=make /src /app\n"})
    image = built(images, app)
    proof = images.prove(image, app)
    assert proof.holds
    assert proof.extra == ("/app/bin",)
    write(app, {"lib/a.py": "a = 3\n"})
    stale = images.prove(image, app)
    assert not stale.holds
    assert stale.stale == (
        "lib/a.py (step 3 of stage make (RUN echo bin > /src/bin) may have changed it)",
    )
    assert images.prove(image, app, alters=("lib/a.py",)).altered == ("lib/a.py",)


def test_an_image_that_takes_nothing_of_the_source_proves_nothing(
    images: Images, app: Path
) -> None:
    text = f"FROM {BASE} AS make\nCOPY . /src\nRUN cat /src/*.py > /bin/app\n"
    write(app, {"Dockerfile": f"{text}FROM {BASE}\nCOPY --from=make /bin/app /bin/app\n"})
    proof = images.prove(built(images, app), app)
    assert proof.compared == 0
    assert not proof.holds
    assert proof.image_tree != proof.source_tree
    covered = " | ".join(proof.not_covered)
    assert "made by the steps of stage make" in covered
    assert "4 files of the source that no COPY takes into the image: Dockerfile, " in covered


@pytest.mark.slow
def test_what_is_ignored_is_neither_missing_nor_extra(images: Images, app: Path) -> None:
    write(app, {".dockerignore": "Dockerfile\n.dockerignore\nlib\n"})
    proof = images.prove(built(images, app), app)
    assert proof.holds
    assert (proof.missing, proof.extra) == ((), ())


@pytest.mark.parametrize("version", ["2", pytest.param(LEGACY, marks=pytest.mark.slow)])
def test_odd_names_links_and_empty_files_hold(images: Images, app: Path, version: str) -> None:
    odd = {
        "with space": "s",
        "-dash": "d",
        "new\nline": "n",
        "ünï": "u",
        "empty": "",
        "link": "-> main.py",
        "out": "-> /etc/passwd",
        "dangling": "-> nowhere",
        "long/" + "x" * 150 + "/" + "y" * 120: "long",
        "{json": "{}",
    }
    write(app, odd)
    (app / os.fsdecode(b"latin-\xe9")).write_text("bytes")
    os.link(app / "main.py", app / "hard")
    proof = images.prove(built(images, app, version=version), app)
    assert proof.holds, proof
    assert proof.compared == 4 + len(odd) + 2
    assert proof.extra == ()


@pytest.mark.slow
def test_a_file_with_two_names_in_the_image_is_read_by_each(images: Images, app: Path) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN ln main.py aaa && ln start.sh zzz\n"})
    proof = images.prove(built(images, app), app)
    assert proof.holds, proof
    assert proof.extra == ("/app/aaa", "/app/zzz")


def test_source_copied_through_a_link_or_into_shared_folders_is_found(
    images: Images, app: Path
) -> None:
    text = f"FROM {BASE}\nRUN mkdir /real && ln -s /real /linked && mkdir /x\nCOPY . /linked/\n"
    text += (
        "COPY lib /usr/local/lib/ours\nCOPY main.py /x\nCOPY lib /etc\nCOPY lib/a.py /tmp/b.py\n"
    )
    write(app, {"Dockerfile": text})
    image = built(images, app)
    proof = images.prove(image, app)
    assert proof.holds, proof
    assert proof.compared == 8
    assert proof.extra == ()
    write(app, {"main.py": "print(5)\n"})
    assert images.prove(image, app).stale == (
        "main.py (at /linked/main.py)",
        "main.py (at /x/main.py)",
    )


@pytest.mark.slow
def test_onbuild_of_the_base_image_is_understood(images: Images, app: Path) -> None:
    text = f"FROM {BASE}\nENV D=/app\nONBUILD COPY lib $D/\nONBUILD WORKDIR /app\n"
    base = write(app.parent / "base", {"Dockerfile": text})
    tag = f"loopctl-test-{images.mark}:onbuild"
    images.build(context_of(source_of(base), "Dockerfile"), tag=tag)
    write(app, {"Dockerfile": f"FROM {tag}\nCOPY main.py .\n"})
    proof = images.prove(built(images, app), app)
    assert proof.holds, proof
    assert proof.compared == 2


@pytest.mark.slow
def test_a_base_image_that_is_gone_is_said_and_not_guessed(images: Images, app: Path) -> None:
    tag = f"loopctl-test-{images.mark}:passing"
    base = write(app.parent / "base", {"Dockerfile": f"FROM {BASE}\nWORKDIR /w\n"})
    images.build(context_of(source_of(base), "Dockerfile"), tag=tag)
    write(app, {"Dockerfile": f"FROM {tag}\nCOPY main.py .\nCOPY lib /app\n"})
    image = built(images, app)
    with images.engine.api(Stop(30)) as api:
        api.remove_image(tag)
    proof = images.prove(image, app)
    assert proof.compared == 1
    covered = " | ".join(proof.not_covered)
    assert f"the base image {tag}, which is not in the engine any more" in covered
    assert "COPY main.py .: not understood: where it goes depends on a base image" in covered


def test_an_image_on_a_base_whose_name_leads_elsewhere_by_now_does_not_hold(
    images: Images, app: Path
) -> None:
    repository = f"loopctl-test-{images.mark}"
    with images.engine.api(Stop(30)) as api:
        api.tag(BASE, repository, "moving")
    write(app, {"Dockerfile": DOCKERFILE.replace(BASE, f"{repository}:moving")})
    image = built(images, app)
    assert images.prove(image, app).holds
    newer = images.commit(BASE, "echo newer > /newer")
    with images.engine.api(Stop(30)) as api:
        api.tag(newer, repository, "moving", force=True)
    proof = images.prove(image, app)
    assert not proof.holds
    assert (
        proof.other_base
        == f"it stands on another {repository}:moving than the engine has now ({newer})"
    )
    assert (proof.stale, proof.missing) == ((), ())


def test_a_container_that_a_killed_proof_has_left_is_removed_by_the_next(
    images: Images, app: Path
) -> None:
    image = built(images, app)
    killed = subprocess.Popen(["true"])
    gone = ProcessId(killed.pid, 1)
    killed.wait()
    with images.engine.api(Stop(30)) as api:
        labels = {"dev.loopctl.reading": owner_label(gone)}
        api.create_container(image, ["never-started"], labels=labels)
    assert len(images.containers()) == 1
    assert images.prove(image, app).holds
    assert images.containers() == []


def roots(images: Images, folder: Path) -> tuple[str, ...]:
    context = context_of(source_of(folder), "Dockerfile")
    image = built(images, folder)
    return roots_of(EngineImages(images.engine), image, context, context.text, service(), Stop(30))


@pytest.mark.slow
def test_the_roots_are_what_was_copied_to(images: Images, app: Path) -> None:
    text = f"FROM {BASE}\nCOPY . /app\nCOPY main.py /app/x/\nCOPY lib /etc\nCOPY main.py /usr/m\n"
    write(app, {"Dockerfile": text})
    assert roots(images, app) == ("/app", "/etc/a.py", "/usr/m")


def test_what_the_platform_names_is_a_root_too(images: Images, app: Path) -> None:
    text = f"FROM {BASE}\nARG TARGETARCH\nWORKDIR /opt/$TARGETARCH\nCOPY . .\n"
    write(app, {"Dockerfile": text})
    facts = image_facts(images.engine, BASE, Stop(30))
    assert facts is not None
    assert roots(images, app) == (f"/opt/{facts.platform.partition('/')[2]}",)
    assert images.prove(images.made[-1], app).compared == 4


def test_what_is_copied_although_it_is_ignored_proves_nothing(images: Images, app: Path) -> None:
    write(app, {".dockerignore": "*", "Dockerfile": f"FROM {BASE}\nCOPY . /app\n"})
    proof = images.prove(built(images, app), app)
    assert proof.compared == 0
    assert not proof.holds


def test_a_pattern_in_another_stage_is_proven_as_far_as_it_is_known(
    images: Images, app: Path
) -> None:
    text = f"FROM {BASE} AS make\nCOPY . /src/\nRUN mkdir /out && cp /src/*.py /out/\n"
    text += f"FROM {BASE}\nCOPY --from=make /src/*.py /app/\nCOPY --from=make /out/* /out/\n"
    write(app, {"Dockerfile": text})
    image = built(images, app)
    proof = images.prove(image, app)
    assert proof.holds, proof
    assert proof.compared == 1
    assert proof.extra == ("/out/main.py",)
    covered = "\n".join(proof.not_covered)
    assert "what else step 2 copies by the pattern /src/*.py from stage make" in covered
    assert "what else step 3 copies by the pattern /out/* from stage make" in covered
    write(app, {"main.py": "print(2)\n"})
    assert not images.prove(image, app).holds


SHADOWED = "stands in front of"


@pytest.mark.parametrize(
    "copy",
    [
        "COPY . .",
        pytest.param("COPY main.py ./", marks=pytest.mark.slow),
        pytest.param("COPY main.py /usr/local/bin/", marks=pytest.mark.slow),
    ],
)
def test_an_old_package_of_the_base_in_front_of_a_module_is_stale(
    images: Images, app: Path, copy: str
) -> None:
    tag = f"loopctl-test-{images.mark}:old-{len(images.made)}"
    old = (
        f"FROM {BASE}\nWORKDIR /app\nRUN mkdir -p main /usr/local/bin/main && echo 0 > main/data\n"
    )
    old += "RUN touch main/__init__.py /usr/local/bin/main/__init__.py\n"
    base = write(app.parent / "base", {"Dockerfile": old})
    images.build(context_of(source_of(base), "Dockerfile"), tag=tag)
    write(app, {"Dockerfile": f"FROM {tag}\n{copy}\n"})
    proof = images.prove(built(images, app), app)
    folder = copy.rsplit(maxsplit=1)[-1] if copy.endswith("bin/") else "/app/"
    assert proof.stale == (f"{folder}main/__init__.py, which {SHADOWED} main.py",)
    assert not proof.holds
    assert proof.image_tree != proof.source_tree
    of_base = "2 files beside the copied ones that came with the base image: "
    told = f"{of_base}/app/main/__init__.py, /app/main/data" in proof.not_covered
    assert told is (copy == "COPY . .")


@pytest.mark.slow
def test_a_link_of_the_base_to_an_old_package_is_stale(images: Images, app: Path) -> None:
    tag = f"loopctl-test-{images.mark}:linked"
    old = f"FROM {BASE}\nRUN mkdir -p /app /p && touch /p/__init__.py && ln -s /p /app/main\n"
    base = write(app.parent / "base", {"Dockerfile": old})
    images.build(context_of(source_of(base), "Dockerfile"), tag=tag)
    write(app, {"Dockerfile": f"FROM {tag}\nCOPY . /app\n"})
    proof = images.prove(built(images, app), app)
    assert proof.stale == (f"/app/main, which {SHADOWED} main.py",)


def test_what_a_step_makes_in_front_of_a_module_is_said_and_of_another_image_refused(
    images: Images, app: Path
) -> None:
    write(app, {"Dockerfile": f"{DOCKERFILE}RUN touch main.abi3.so lib/a.pyc\n"})
    made = built(images, app, tag=f"loopctl-test-{images.mark}:compiled")
    proof = images.prove(made, app)
    assert proof.holds, proof
    by = "made by step 4 (RUN touch main.abi3.so lib/a.pyc)"
    assert f"/app/main.abi3.so, which {SHADOWED} main.py, {by}" in proof.not_covered
    other = f"COPY --from=loopctl-test-{images.mark}:compiled /app/main.abi3.so .\n"
    write(app, {"Dockerfile": DOCKERFILE + other})
    proof = images.prove(built(images, app), app)
    assert proof.stale == (f"/app/main.abi3.so, which {SHADOWED} main.py",)


def test_an_image_that_is_gone_is_an_error_and_no_proof(images: Images, app: Path) -> None:
    with pytest.raises(EngineError, match="not in the engine"):
        images.prove("sha256:" + "0" * 64, app)


def test_a_stopped_proof_ends_at_once_and_leaves_no_container(images: Images, app: Path) -> None:
    image = built(images, app)
    stop = Stop()
    context = context_of(source_of(app), "Dockerfile")
    began = time.monotonic()

    def read_on() -> None:
        with contents_of(images.engine, image, stop) as contents:
            threading.Timer(0.05, stop.stop, ["SIGTERM"]).start()
            while time.monotonic() < began + 10:
                contents.read("/usr", lambda _: True)

    with pytest.raises(Stopped):
        read_on()
    assert time.monotonic() - began < 5
    stopped = Stop()
    stopped.stop("SIGTERM")
    with pytest.raises(Stopped):
        prove_image(
            EngineImages(images.engine),
            image,
            source_of(app),
            context,
            context.text,
            service(),
            stopped,
        )


@pytest.mark.slow
def test_five_thousand_files_and_a_hundred_megabytes_are_proven_in_seconds(
    images: Images, app: Path
) -> None:
    for number in range(5000):
        folder = app / f"pkg{number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}.bin").write_bytes(os.urandom(20_000))
    image = built(images, app)
    source = source_of(app)
    context = context_of(source, "Dockerfile")
    began = time.monotonic()
    proof = prove_image(
        EngineImages(images.engine), image, source, context, context.text, service(), Stop(60)
    )
    took = time.monotonic() - began
    assert proof.holds
    assert proof.compared == 5004
    print(f"\nproof of 5,004 files: {took:.2f} s")
    assert took < 6  # 1.5 s on a machine of its own; this one may be shared


@pytest.mark.slow
def test_a_label_is_told_and_never_believed(images: Images, app: Path) -> None:
    context = context_of(source_of(app), "Dockerfile")
    image = images.build(context, labels={TREE_LABEL: "sha256:lie"})
    proof = images.prove(image, app)
    assert proof.holds
    assert proof.labelled == "sha256:lie"
