"""Which programs a shell line would miss is told before it runs, and nobody is accused wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopctl.process.programs import missing_programs


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("pnpm install --frozen-lockfile", ("pnpm",)),
        ("cd web && npm ci && npm run build", ("npm",)),
        ("CI=1 npx playwright test > {junit} | tee log", ("npx", "tee")),
        ("exec uv run x", ("uv",)),
        ("have --it", ()),
        ("./gradlew build", ()),
        ("uv sync || pip install .", ()),
        ("if which npm; then npm ci; fi", ()),
        ("PATH=$HOME/bin:$PATH npm ci", ()),
        ("$(which npm) ci", ()),
        ("npm 'unclosed", ()),
        ("export A=1 && test -f x", ()),
        ("", ()),
    ],
)
def test_only_a_program_that_the_line_plainly_wants_is_missing(
    line: str, missing: tuple[str, ...], tmp_path: Path
) -> None:
    have = tmp_path / "have"
    have.write_text("#!/bin/sh\n")
    have.chmod(0o755)
    assert missing_programs(line, str(tmp_path)) == missing
