"""What an image holds, against what its source holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from loopctl.evidence.blobs import tree_digest
from loopctl.model.artifact import ContentProof, SourceFile, SourceTree


def compare(
    service: str,
    source: SourceTree,
    inside: Mapping[str, SourceFile],
    *,
    steps: int,
    beyond: str,
) -> ContentProof:
    """The proof, or what breaks it. `inside` are the image's files by their path in the source.

    `steps` is how many build steps may have made files of their own, `beyond` what no image of
    this kind covers.
    """
    present = [file for file in source.files if file.path in inside]
    known = {file.path for file in source.files}
    extra = tuple(sorted(path for path in inside if path not in known))
    made = f"{len(extra)} files made by {steps} build steps have no source to compare with"
    return ContentProof(
        service=service,
        source_tree=source.digest,
        image_tree=tree_digest(inside[file.path] for file in present),
        stale=tuple(f.path for f in present if inside[f.path].blob != f.blob),
        missing=tuple(f.path for f in source.files if f.path not in inside),
        extra=extra,
        mode_differs=tuple(f.path for f in present if inside[f.path].mode != f.mode),
        not_covered=(beyond, made) if extra else (beyond,),
        compared=len(source.files),
        labelled=source.digest,
    )
