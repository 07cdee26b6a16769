"""The same fault in another run is known to be the same, though its code stands elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker_services import container_loop, docker_opened
from rig import Project, Ran
from services import tiny_loop

RAISES = """
import traceback
def total(order): return order.price

def do_GET(self, own=Handler.do_GET):
    if self.path == "/health": return own(self)
    try: total({"price": 7})
    except AttributeError: traceback.print_exc()
    self.send_response(500)
    self.send_header("Content-Length", "0")
    self.end_headers()
Handler.do_GET = do_GET
"""


def told_twice(project: Project, loop: Any) -> None:
    """After a green run, two runs of `loop` with the same fault, each in a copy of its own."""
    loop(project)
    assert project.run("web").code == 0
    loop(project, prelude=RAISES)
    first, second = cause_of(project.run("web")), cause_of(project.run("web"))
    assert first["fingerprint"] == second["fingerprint"]
    assert "service.py:total" in first["fingerprint"]
    assert first["seen"] is None
    assert second["seen"]["runs"] == 1


def cause_of(ran: Ran) -> dict[str, Any]:
    assert ran.code == 1, str(ran)
    return ran.findings()["http.500-novel"]


@pytest.mark.slow
def test_a_second_run_with_the_same_fault_says_that_it_was_seen_before(project: Project) -> None:
    told_twice(project, tiny_loop)


@pytest.mark.slow
def test_in_containers_too_a_fault_is_the_same_in_the_next_run(tmp_path: Path) -> None:
    with docker_opened(tmp_path) as project:
        told_twice(project, container_loop)
