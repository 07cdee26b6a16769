"""What a comparison comes to; pure."""

from __future__ import annotations

from pathlib import Path

from loopctl.evidence.blobs import tree_digest
from loopctl.evidence.provenance import Compared, Difference, How, judge_image
from loopctl.model.artifact import ContentProof, SourceFile, SourceTree

FILES = (SourceFile("a", "1" * 40, "100644"), SourceFile("d/b", "2" * 40, "100755"))
SOURCE = SourceTree(Path("/s"), FILES, tree_digest(FILES))
BLOB = "3" * 40


def judged(*differences: Difference, count: int = 2, alters: tuple[str, ...] = ()) -> ContentProof:
    return judge_image("chat", SOURCE, Compared(count, differences), alters, None)


def test_nothing_differs() -> None:
    proof = judged()
    assert proof.holds
    assert proof.image_tree == proof.source_tree


def test_nothing_compared_proves_nothing() -> None:
    proof = judged(count=0)
    assert not proof.holds
    assert proof.image_tree != proof.source_tree


def test_every_difference_breaks_it_and_changes_the_tree() -> None:
    for how, name in ((How.STALE, "stale"), (How.MISSING, "missing"), (How.MODE, "mode_differs")):
        gone = how is How.MISSING
        found = Difference(
            "a", "a", how, blob=None if gone else BLOB, mode=None if gone else "100755"
        )
        proof = judged(found)
        assert not proof.holds
        assert getattr(proof, name) == ("a",)
        assert proof.image_tree != proof.source_tree


def test_what_a_step_altered_is_accepted_only_where_it_is_declared() -> None:
    altered = Difference(
        "d/b", "d/b", How.STALE, altered="altered by step 3 (RUN x)", blob=BLOB, mode="100755"
    )
    refused = judged(altered)
    assert not refused.holds
    assert refused.undeclared == ("d/b: altered by step 3 (RUN x)",)
    assert refused.stale == ()
    assert refused.image_tree != refused.source_tree
    accepted = judged(altered, alters=("d",))
    assert accepted.holds
    assert (accepted.altered, accepted.undeclared) == (("d/b",), ())
    assert accepted.image_tree == accepted.source_tree


def test_declared_or_not_what_no_step_touched_is_stale() -> None:
    stale = Difference("a", "a", How.STALE, blob=BLOB, mode="100644")
    assert not judged(stale, alters=("**",)).holds


def test_what_is_of_no_source_any_more_breaks_it() -> None:
    proof = judge_image("chat", SOURCE, Compared(2, (), ("/app/old",), ("/app/old",)), (), None)
    assert not proof.holds
    assert proof.image_tree != proof.source_tree
    extra = judge_image("chat", SOURCE, Compared(2, (), (), ("/app/made",)), (), None)
    assert extra.holds
