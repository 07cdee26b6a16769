"""The first links of the chain, from source to image: whether they hold, and what breaks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopctl.model.artifact import ContentProof
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.plan import ServiceSpec


def broken_link(spec: ServiceSpec, proof: ContentProof, cached: Sequence[str]) -> Fault | None:
    """The link between source and image that does not hold, None where all do.

    `provenance: label` is content with the image's own word for it, `none` asks for neither.
    """
    match spec.provenance:
        case "none":
            return None
        case "label" if (wrong := _mislabelled(proof)) is not None:
            return _fault(proof, wrong)
        case "content" if not proof.holds:
            return provenance_fault(proof)
        case _ if cached:
            steps = ", ".join(cached[:3]) + (", …" if len(cached) > 3 else "")
            return _fault(proof, f"built without cache, and yet from the cache: {steps}")
        case _:
            return None


def _mislabelled(proof: ContentProof) -> str | None:
    """What an image says of itself, where that is not what it is meant to be of."""
    if proof.labelled is not None and proof.labelled == proof.source_tree:
        return None
    if (elsewhere := proof.elsewhere) is None:
        label = proof.labelled or "nothing"
        return f"its label names {label}, the source is {proof.source_tree}"
    if elsewhere.head is None:
        return "its label cannot be held against a commit: the project has none"
    if elsewhere.revision == elsewhere.head:
        return None
    return f"its label names the commit {elsewhere.revision or 'nothing'}, HEAD is {elsewhere.head}"


def _fault(proof: ContentProof, broken: str, hint: str | None = None) -> Fault:
    quote = Quote("condition", f"image of {proof.service}", broken)
    summary = f"{proof.service}: {broken}"
    return Fault(FaultKind.PROVENANCE, summary, proof.service, proof.image_tree, (quote,), hint)


def provenance_fault(proof: ContentProof) -> Fault:
    """The broken link between source and image, with the files that show it."""
    if proof.compared == 0:
        return _fault(
            proof,
            "no file of the source is to be found in the image",
            "where it holds nothing but what a step has compiled, `provenance: label` is as much "
            "as can be asked for",
        )
    if proof.other_base is not None:
        return _fault(proof, proof.other_base)
    differences: Mapping[str, tuple[str, ...]] = {
        "stale": proof.stale,
        "missing": proof.missing,
        "of another mode": proof.mode_differs,
        "changed by a build step, which build.alters does not allow": proof.undeclared,
    }
    named = [
        f"{len(files)} {what} ({', '.join(files[:3])}{', …' if len(files) > 3 else ''})"
        for what, files in differences.items()
        if files
    ]
    summary = f"{proof.service}: the image is not the source's: {'; '.join(named)}"
    quotes = tuple(
        Quote(
            "condition",
            f"image of {proof.service}",
            path if files is proof.undeclared else f"{path} is {what}",
        )
        for what, files in differences.items()
        for path in files[:5]
    )
    return Fault(FaultKind.PROVENANCE, summary, proof.service, proof.image_tree, quotes)
