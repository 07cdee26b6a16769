"""Ruby's backtraces are put together and read like those of the other languages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loopctl.model.logs import LogEntry
from loopctl.triage.assemble import LogEvent, assemble

_AT = datetime(2025, 6, 2, 9, 14, tzinfo=UTC)
_ENDED = """\
/srv/config/initializers/mail.rb:5:in `fetch': key not found: "SMTP_RELAY_HOST" (KeyError)
\tfrom /srv/config/initializers/mail.rb:5:in `<main>'
\tfrom /usr/local/bundle/gems/railties-7.1.2/lib/rails/engine.rb:682:in `load'"""
_LOGGED = """\
[b1c2] ArgumentError (comparison of Integer with nil failed):
[b1c2]
[b1c2] app/services/stock_level.rb:33:in 'StockLevel#clamp'
[b1c2] app/controllers/items_controller.rb:12:in 'ItemsController#create'
[d3e4] Started GET "/carts/8" for 10.0.0.9 at 2025-06-02 09:14:08 +0000"""


def _events(text: str) -> list[LogEvent]:
    lines = enumerate(text.splitlines(), 1)
    return list(assemble(LogEntry(_AT, "web", "", "stderr", line, n) for n, line in lines))


def test_what_ends_a_ruby_process_is_one_event_raised_where_the_code_was_loaded() -> None:
    [event] = _events(_ENDED)
    assert event.trace is not None
    raised, frame = event.trace.innermost, event.trace.frame
    assert (raised.type, raised.message) == ("KeyError", 'key not found: "SMTP_RELAY_HOST"')
    assert frame is not None
    assert (frame.file, frame.line) == ("/srv/config/initializers/mail.rb", 5)
    assert event.trace.at_import
    assert [f.in_app for f in raised.frames] == [False, True, True]


def test_what_rails_logs_below_a_request_is_read_behind_its_tag() -> None:
    event, after = _events(_LOGGED)
    assert event.trace is not None
    assert event.trace.innermost.type == "ArgumentError"
    assert event.trace.frame is not None
    assert event.trace.frame.place == "services/stock_level.rb:StockLevel#clamp"
    assert not event.trace.at_import
    assert after.trace is None


@pytest.mark.parametrize("line", ["Total (all of it):", "see Foo (bar):", "x.rb:3:in a hurry (Y)"])
def test_a_line_that_only_looks_like_it_stays_a_line(line: str) -> None:
    events = _events(f"{line}\nnext")
    assert [event.said for event in events] == [line, "next"]
    assert all(event.trace is None for event in events)
