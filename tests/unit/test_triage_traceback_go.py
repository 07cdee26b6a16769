"""Go's panics, as Go 1.26 printed them."""

from __future__ import annotations

import pytest
from triage_texts import events_of, trace_of

from loopctl.triage.fingerprint import stack_fingerprint

NIL = """
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x65e2a0]

goroutine 1 [running]:
main.(*store).get(...)
\t/srv/shop/main.go:13
main.lookup(...)
\t/srv/shop/main.go:15
main.main()
\t/srv/shop/main.go:21 +0x80
exit status 2
"""

SERVED = """
2026/11/22 10:59:17 http: panic serving 127.0.0.1:37426: runtime error: invalid memory address
goroutine 9 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1897 +0xbd
panic({0x6f6c20?, 0x9fbc30?})
\t/usr/local/go/src/runtime/panic.go:860 +0x13a
main.(*store).get(...)
\t/srv/shop/main.go:13
github.com/go-chi/chi/v5.(*Mux).ServeHTTP(0xc0001b4000, {0x7f3, 0xc0002})
\t/home/app/go/pkg/mod/github.com/go-chi/chi/v5@v5.0.1/mux.go:90 +0x321
net/http.HandlerFunc.ServeHTTP(0x4804f9?, {0x77a608?, 0x3074b6094000?}, 0x3074b6087b30?)
\t/usr/local/go/src/net/http/server.go:2286 +0x29
created by net/http.(*Server).Serve in goroutine 7
\t/usr/local/go/src/net/http/server.go:3464 +0x485
"""

DEADLOCK = """
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
\t/srv/shop/main.go:30 +0x28

goroutine 5 [select]:
main.pump(0xc000012)
\t/srv/shop/pump.go:12 +0x1
"""


def test_a_nil_pointer_is_known_by_its_signal_and_the_goroutine_that_ran() -> None:
    trace = trace_of(NIL)
    assert (trace.language, trace.innermost.type) == ("go", "runtime error")
    assert trace.innermost.message == "invalid memory address or nil pointer dereference"
    assert trace.frame is not None
    assert (trace.frame.place, trace.frame.line) == ("shop/main.go:main.(*store).get", 13)
    assert stack_fingerprint(trace).startswith(
        "v1|go|runtime error|shop/main.go:main.main|shop/main.go:main.lookup"
        "|shop/main.go:main.(*store).get#"
    )


def test_frames_of_the_library_and_of_recovering_are_not_where_it_began() -> None:
    trace = trace_of(SERVED)
    assert [frame.place for frame in trace.own_frames] == ["shop/main.go:main.(*store).get"]
    assert trace.innermost.frames[-1].place == "shop/main.go:main.(*store).get"


def test_the_first_goroutine_is_the_one_that_died() -> None:
    trace = trace_of(DEADLOCK)
    assert (trace.innermost.type, trace.innermost.message) == (
        "fatal error",
        "all goroutines are asleep - deadlock!",
    )
    assert [frame.line for frame in trace.innermost.frames] == [30]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("panic: first [recovered]\n\tpanic: first", "first"),
        ("panic: first [recovered, repanicked]", "first"),
        (
            "panic: required variable DATABASE_URL is not set",
            "required variable DATABASE_URL is not set",
        ),
    ],
)
def test_what_was_panicked_with_is_the_message(head: str, message: str) -> None:
    trace = trace_of(f"{head}\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/shop/main.go:27 +0x2")
    assert (trace.innermost.type, trace.innermost.message) == ("panic", message)


def test_a_line_that_only_speaks_of_a_panic_is_a_line() -> None:
    text = "panic: button pressed\nno panic in the hall\nINFO all is well"
    assert [event.said for event in events_of(text)] == text.split("\n")
