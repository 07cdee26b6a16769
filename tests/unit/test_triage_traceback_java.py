"""Java's stack traces, as Java 17 and Spring printed them; .NET's are much alike."""

from __future__ import annotations

from triage_texts import events_of, trace_of, types_of

from loopctl.triage.fingerprint import stack_fingerprint

CHAINED = """
Exception in thread "main" java.lang.RuntimeException: request failed
with two lines
\tat com.example.shop.Main.main(Main.java:8)
Caused by: com.example.shop.Main$StoreException: cannot read x
\tat com.example.shop.Main.handle(Main.java:6)
\tat com.example.shop.Main.lambda$main$0(Main.java:8)
\tat java.base/java.util.Optional.map(Optional.java:260)
\t... 1 more
\tSuppressed: java.lang.IllegalStateException: close failed
\t\t... 4 more
Caused by: java.lang.NullPointerException: Cannot invoke "java.lang.Integer.intValue()"
\tat com.example.shop.Main.read(Main.java:5)
\t... 4 more
"""

INITIALIZER = """
Exception in thread "main" java.lang.ExceptionInInitializerError
\tat com.example.shop.Init.main(Init.java:3)
Caused by: java.lang.IllegalStateException: DATABASE_URL is required
\tat com.example.shop.Init$Conf.need(Init.java:2)
\tat com.example.shop.Init$Conf.<clinit>(Init.java:2)
\t... 1 more
"""

SPRING = """
org.springframework.dao.DataAccessResourceFailureException: no connection; nested exception is
  a refusal
\tat org.springframework.orm.jpa.Translator.translate(Translator.java:12) ~[orm.jar:6.1]
\tat com.example.shop.OrderService$$SpringCGLIB$$9a2b.place(<generated>) ~[na]
\tat com.example.shop.OrderService.place(OrderService.java:57) ~[classes!/:na]
\tat com.example.shop.OrderController.post(OrderController.java:31) ~[classes!/:na]
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect0(Native Method) ~[na:na]
\t... 42 common frames omitted
"""

DOTNET = """
Unhandled exception. System.InvalidOperationException: no such order
 ---> System.NullReferenceException: Object reference not set to an instance of an object.
   at Shop.Store.Read(String id) in /src/Shop/Store.cs:line 18
   --- End of inner exception stack trace ---
   at Shop.Orders.Get(String id) in /src/Shop/Orders.cs:line 41
   at System.Threading.Tasks.Task.Execute()
"""


def test_the_last_cause_is_where_it_began_and_what_was_suppressed_is_not() -> None:
    trace = trace_of(CHAINED)
    assert trace.language == "java"
    assert types_of(trace) == [
        "java.lang.RuntimeException",
        "com.example.shop.Main$StoreException",
        "java.lang.IllegalStateException",
        "java.lang.NullPointerException",
    ]
    assert trace.innermost.type == "java.lang.NullPointerException"
    assert trace.frame is not None
    assert trace.frame.place == "shop/Main.java:read"
    assert stack_fingerprint(trace).startswith(
        "v1|java|java.lang.NullPointerException|shop/Main.java:read#"
    )


def test_a_class_that_cannot_be_set_up_fails_at_import() -> None:
    trace = trace_of(INITIALIZER)
    assert trace.innermost.message == "DATABASE_URL is required"
    assert trace.at_import
    assert trace.frame is not None
    assert trace.frame.place == "shop/Init.java:need"


def test_a_cause_in_the_library_counts_where_the_service_called_it() -> None:
    trace = trace_of(SPRING)
    assert trace.innermost.message == "Connection refused"
    assert trace.frame is not None
    assert trace.frame.place == "shop/OrderService.java:place"
    assert [frame.place for frame in trace.own_frames] == [
        "shop/OrderController.java:post",
        "shop/OrderService.java:place",
    ]


def test_the_number_that_a_compiler_gives_a_lambda_is_not_in_the_fingerprint() -> None:
    text = "java.lang.Error: x\n\tat a.b.C.lambda$go${}(C.java:1)"
    assert stack_fingerprint(trace_of(text.format(0))) == stack_fingerprint(
        trace_of(text.format(7))
    )


def test_a_log_line_before_the_trace_stays_a_line() -> None:
    line = "2026-11-20 12:00:00.000 ERROR 1 --- [main] o.s.b.SpringApplication : run failed"
    before, event = events_of(f"{line}\n\n{INITIALIZER.strip()}")[::2]
    assert before.said == line
    assert event.trace is not None


def test_dotnet_prints_inner_exceptions_first() -> None:
    trace = trace_of(DOTNET)
    assert trace.language == "dotnet"
    assert trace.innermost.type == "System.NullReferenceException"
    assert trace.frame is not None
    assert trace.frame.place == "Shop/Store.cs:Read"
