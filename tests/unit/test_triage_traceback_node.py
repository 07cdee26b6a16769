"""Node's stacks, as node 20 printed them."""

from __future__ import annotations

from triage_texts import events_of, trace_of, types_of

from loopctl.triage.fingerprint import stack_fingerprint

UNCAUGHT = """
/srv/shop/cart.js:1
function pay(o){ return o.card.number }
                               ^

TypeError: Cannot read properties of undefined (reading 'number')
    at pay (/srv/shop/cart.js:1:32)
    at Shop.charge (/srv/shop/cart.js:2:32)
    at Layer.handle [as handle_request] (/srv/node_modules/express/lib/router/layer.js:95:5)
    at async Promise.all (index 0)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)

Node.js v20.20.2
"""

CAUSE = """
request failed DbError: query failed
    at main (/srv/shop/b.js:3:58) {
  code: 'E_DB',
  [cause]: Error: connect ECONNREFUSED 10.0.0.3:5432
      at query (/srv/shop/b.js:1:27)
      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
}
"""

AGGREGATE = """
AggregateError: all failed
    at /srv/shop/b.js:4:69 {
  [errors]: [
    TypeError: a is bad
        at check (/srv/shop/b.js:4:89),
    RangeError: b
        at /srv/shop/b.js:4:116
  ]
}
"""

MISSING_MODULE = """
node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module 'express'
Require stack:
- /srv/shop/server.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at require (node:internal/modules/helpers:182:18)
    at Object.<anonymous> (/srv/shop/server.js:1:1)
    at Module._compile (node:internal/modules/cjs/loader:1521:14) {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/srv/shop/server.js' ]
}

Node.js v20.20.2
"""

SYNTAX = """
/srv/shop/d.js:3
  b: 2
  ^

SyntaxError: Unexpected identifier 'b'
    at wrapSafe (node:internal/modules/cjs/loader:1464:18)
    at node:internal/main/run_main_module:28:49

Node.js v20.20.2
"""


def test_an_error_that_nobody_catches_is_one_event_from_its_place_to_nodes_version() -> None:
    trace = trace_of(UNCAUGHT)
    assert (trace.language, types_of(trace)) == ("node", ["TypeError"])
    assert trace.innermost.number == 5
    assert trace.frame is not None
    assert (trace.frame.place, trace.frame.line) == ("shop/cart.js:pay", 1)
    assert stack_fingerprint(trace).startswith(
        "v1|node|TypeError|shop/cart.js:Shop.charge|shop/cart.js:pay#"
    )


def test_a_cause_is_where_it_began() -> None:
    trace = trace_of(CAUSE)
    assert types_of(trace) == ["DbError", "Error"]
    assert trace.innermost.message == "connect ECONNREFUSED 10.0.0.3:5432"
    assert trace.innermost.text.strip().startswith("[cause]: Error: connect")
    assert trace.frame is not None
    assert trace.frame.place == "shop/b.js:query"


def test_the_first_member_of_an_aggregate_is_where_it_began() -> None:
    trace = trace_of(AGGREGATE)
    assert types_of(trace) == ["AggregateError", "TypeError", "RangeError"]
    assert trace.innermost.message == "a is bad"


def test_a_module_that_is_missing_was_missed_while_modules_were_loaded() -> None:
    trace = trace_of(MISSING_MODULE)
    assert trace.innermost.message == "Cannot find module 'express'"
    assert trace.frame is not None
    assert trace.frame.place == "shop/server.js:Object.<anonymous>"
    assert trace.at_import


def test_an_error_of_syntax_is_placed_where_node_says_it_is() -> None:
    trace = trace_of(SYNTAX)
    assert trace.frame is not None
    assert (trace.frame.file, trace.frame.line, trace.frame.number) == ("/srv/shop/d.js", 3, 1)
    assert trace.at_import


def test_lines_before_and_after_are_events_of_their_own() -> None:
    text = f"listening on 8080\nrequest failed: 7{UNCAUGHT.rstrip()}\nrestarting in 1 s"
    assert [event.said for event in events_of(text)] == [
        "listening on 8080",
        "request failed: 7",
        "TypeError: Cannot read properties of undefined (reading 'number')",
        "restarting in 1 s",
    ]


def test_what_only_looks_like_the_head_of_a_stack_is_a_line() -> None:
    text = "ValidationError: name is empty\nPOST /users 422\n    at least one field is wrong\nend"
    events = events_of(text)
    assert [event.said for event in events] == text.split("\n")
    assert not any(event.trace for event in events)


def test_a_logger_that_names_the_level_before_the_error_is_seen_through() -> None:
    trace = trace_of("error: Uncaught TypeError: x is not a function\n    at f (/srv/a/b.js:1:2)")
    assert (trace.innermost.type, trace.innermost.message) == ("TypeError", "x is not a function")


def test_an_error_with_a_name_of_its_own_is_known_by_its_frames() -> None:
    trace = trace_of("CardDeclined: too poor\n    at charge (/srv/a/b.js:1:2)")
    assert (trace.innermost.type, trace.innermost.message) == ("CardDeclined", "too poor")
