"""What a filter finds, case by case, asked of the emulator by Google's own client.

The cases follow the documentation of the Logging query language: a [D] source of the facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cloud_logging_rig import PARENT, PROJECT, REQUESTS, STDERR, STDOUT, SYSTEM, Rig, entry, serve
from google.api_core import exceptions
from google.cloud.audit import audit_log_pb2

from emulator.log_filter_kinds import instant
from emulator.log_quota import ReadQuota
from emulator.log_store import LogStore

AUDIT = f"{PARENT}/logs/cloudaudit.googleapis.com%2Fsystem_event"
DAY = "2026-10-12"


def _request() -> Any:
    made = entry(at=f"{DAY}T12:00:04.123456789Z", log=REQUESTS, insert_id="req", severity=500)
    made.ClearField("text_payload")
    http = made.http_request
    http.request_method, http.request_url, http.status = "GET", "https://shop.run.app/Cart?x=1", 503
    http.user_agent, http.remote_ip, http.response_size = "curl/8", "10.1.2.3", 3_000_000_000
    http.latency.FromMilliseconds(1500)
    made.trace = f"{PARENT}/traces/0af7651916cd43dd8448eb211c80319c"
    made.trace_sampled = True
    made.labels["instanceId"] = "00f46b92"
    return made


def _json() -> Any:
    made = entry(at=f"{DAY}T12:00:02Z", log=STDOUT, insert_id="json", severity=200)
    made.json_payload.update(
        {
            "message": "Order PLACED",
            "cat": "longhair",
            "count": 3,
            "ok": True,
            "none": None,
            "end_time": "2026-10-12T12:00:00Z",
            "big": "9223372036854775807",
            "user": {"name": "Ada", "roles": ["admin", "buyer"]},
            "shoeSize": [8.5, 9, 6],
            "foo.bar": "apple",
            ":name": "pear",
        }
    )
    made.labels.update({"run.googleapis.com/execution_name": "nightly-x1", "env": "Prod"})
    return made


def _audit() -> Any:
    made = entry(at=f"{DAY}T12:00:05Z", log=AUDIT, insert_id="audit", severity=500)
    made.ClearField("text_payload")
    log = audit_log_pb2.AuditLog(
        service_name="run.googleapis.com", method_name="/Services.ReplaceService"
    )
    log.status.code, log.status.message = 9, "Ready condition status changed to False for Revision"
    log.metadata.update({"kind": "Revision"})
    log.authorization_info.add(permission="run.services.update", granted=True)
    made.proto_payload.Pack(log)
    return made


@pytest.fixture(scope="module")
def logging() -> Iterator[Rig]:
    noon = instant(f"{DAY}T12:00:00Z") or 0
    for rig in serve(Rig(LogStore(PROJECT, clock=lambda: noon), quota=ReadQuota(1000))):
        rig.store.write(
            [
                entry("INFO: Started server", f"{DAY}T12:00:01Z", STDERR, insert_id="plain"),
                _json(),
                entry(
                    "Container called exit(3).",
                    f"{DAY}T12:00:03Z",
                    SYSTEM,
                    insert_id="exit",
                    severity=400,
                ),
                _request(),
                _audit(),
            ]
        )
        yield rig


ALL = "plain json exit req audit"

CASES = [
    # Everything, and text anywhere
    ("", ALL),
    ("started", "plain"),
    ('"started SERVER"', "plain"),
    ("started server", "plain"),
    ('"server started"', ""),
    ("placed OR exit", "json exit"),
    ("NOT started", "json exit req audit"),
    ("-started", "json exit req audit"),
    ("ada", "json"),
    ("curl", "req"),
    ("ReplaceService", "audit"),
    ("nightly", "json"),
    # Severity, by rank
    ("severity=ERROR", "req audit"),
    ('severity="error"', "req audit"),
    ("severity>=WARNING", "exit req audit"),
    ("severity>WARNING", "req audit"),
    ("severity<NOTICE", "plain json"),
    ("severity!=ERROR", "plain json exit"),
    ("severity=DEFAULT", "plain"),
    ("severity=(INFO OR WARNING)", "json exit"),
    # Log names, resources, labels
    (f'logName="{STDERR}"', "plain"),
    (f'logName=("{STDERR}" OR "{SYSTEM}")', "plain exit"),
    ("logName:varlog", "exit"),
    ('log_id("run.googleapis.com/varlog/system")', "exit"),
    (
        'log_id("run.googleapis.com/stderr") OR log_id("cloudaudit.googleapis.com/system_event")',
        "plain audit",
    ),
    ("resource.type=cloud_run_revision", ALL),
    ('resource.type="CLOUD_RUN_revision"', ALL),
    ('resource.labels.service_name="shop"', ALL),
    ('resource.labels.revision_name=~"^shop-0{4}1-[a-z0-9]{3}$"', ALL),
    ("resource.labels.location:*", ""),
    ('labels."run.googleapis.com/execution_name"="nightly-x1"', "json"),
    ("labels.env=prod", "json"),
    ("labels.ENV=prod", ""),
    ("labels.env:*", "json"),
    ("labels.instanceId:00F4", "req"),
    # Timestamps
    (f"timestamp>={DAY}", ALL),
    (f'timestamp>"{DAY}T12:00:04Z"', "req audit"),
    (f'timestamp>="{DAY}T12:00:04.123456789Z"', "req audit"),
    (f'timestamp>"{DAY}T12:00:04.123456789Z"', "audit"),
    (f'timestamp="{DAY}T12:00:01Z"', "plain"),
    (f'timestamp!="{DAY}T12:00:01Z"', "json exit req audit"),
    (f'timestamp<="{DAY}T14:00:02+02:00"', "plain json"),
    (f'timestamp<"{DAY}T12:00:02.000000+0000"', "plain"),
    (f'timestamp>="{DAY}T12:00:02Z" timestamp<="{DAY}T12:00:03Z"', "json exit"),
    (f'timestamp<"{DAY}T12:00:02Z" OR timestamp>"{DAY}T12:00:04.2Z"', "plain audit"),
    (f'NOT timestamp<"{DAY}T12:00:05Z"', "audit"),
    (f'(timestamp>"{DAY}T12:00:03Z") (severity=ERROR)', "req audit"),
    ('timestamp>="no time"', ""),
    # Text payloads: substring, equality, patterns
    ('textPayload:"EXIT("', "exit"),
    ('textPayload="container called EXIT(3)."', "exit"),
    ('textPayload="Container called"', ""),
    ('textPayload=~"exit\\(\\d\\)"', "exit"),
    ('textPayload=~"EXIT"', ""),
    ('textPayload=~"(?i)EXIT"', "exit"),
    ('textPayload=~"^Container"', "exit"),
    ('textPayload=~"\\.$"', "exit"),
    ('textPayload!~"server"', "json exit req audit"),
    ('textPayload:("called" AND "container")', "exit"),
    ('textPayload =~ ("^INFO" OR "exit")', "plain exit"),
    ('text_payload:"exit"', "exit"),
    # HTTP requests: numbers, durations, defaults
    ("httpRequest.status>=500", "req"),
    ("httpRequest.status=503", "req"),
    ('httpRequest.status="503"', "req"),
    ("httpRequest.status>502.5", "req"),
    ("httpRequest.status<100", "plain json exit audit"),
    ("httpRequest.status:*", "req"),
    ("httpRequest:*", "req"),
    ("httpRequest.latency>1s", "req"),
    ('httpRequest.latency="1.5s"', "req"),
    ("httpRequest.latency>=1500ms", "req"),
    ("httpRequest.latency>2s", ""),
    ("httpRequest.requestUrl:cart", "req"),
    ("httpRequest.request_method=get", "req"),
    ('httpRequest.responseSize>"2999999999"', "req"),
    ("httpRequest.cacheHit=false", ALL),
    ("traceSampled=True", "req"),
    ("trace:0af7651916cd43dd8448eb211c80319c", "req"),
    # JSON payloads
    ("jsonPayload.message=~PLACED", "json"),
    ('jsonPayload.message="order placed"', "json"),
    ("jsonPayload.cat=(longhair OR shorthair)", "json"),
    ("jsonPayload.count=3", "json"),
    ("jsonPayload.count>2.5", "json"),
    ("jsonPayload.count>-3", "json"),
    ("jsonPayload.ok=TRUE", "json"),
    ("jsonPayload.none=NULL_VALUE", "json"),
    ("jsonPayload.none:*", "json"),
    ("jsonPayload.user.name=ada", "json"),
    ("jsonPayload.user.roles=buyer", "json"),
    ("jsonPayload.user:admin", "json"),
    ("jsonPayload.shoeSize<7", "json"),
    ("jsonPayload.shoeSize>9", ""),
    ('jsonPayload."foo.bar":apple', "json"),
    ('jsonPayload.":name"=pear', "json"),
    ("jsonPayload.endTime:*", ""),
    ("jsonPayload.end_time:*", "json"),
    ('jsonPayload.big="9223372036854775807"', "json"),
    # A missing field: NOT is true, != is false
    ("jsonPayload.absent=foo", ""),
    ("jsonPayload.absent!=foo", ""),
    ("NOT jsonPayload.absent=foo", ALL),
    ("NOT jsonPayload.cat=longhair", "plain exit req audit"),
    ("jsonPayload.cat!=shorthair", "json"),
    ("operation.id:*", ""),
    ('operation.id=""', ALL),
    # Audit entries
    ('protoPayload.status.message:"changed to false"', "audit"),
    ("protoPayload.status.code=9", "audit"),
    ("protoPayload.methodName=~ReplaceService$", "audit"),
    ("protoPayload.METHODNAME:*", "audit"),
    ("protoPayload.method_name:replace", "audit"),
    ("protoPayload.authorizationInfo.permission=run.services.update", "audit"),
    ("protoPayload.metadata.kind=revision", "audit"),
    ('protoPayload.@type="type.googleapis.com/google.cloud.audit.AuditLog"', "audit"),
    ("protoPayload.absent.name:*", ""),
    # Precedence: OR binds tighter than AND
    ("severity=ERROR OR severity=WARNING AND httpRequest.status=503", "req"),
    ("httpRequest.status=503 AND severity=ERROR OR severity=WARNING", "req"),
    ("severity=INFO OR (severity=ERROR AND httpRequest.status=503)", "json req"),
    ("NOT severity=ERROR OR httpRequest.status=503", "plain json exit req"),
    ("severity=ERROR -httpRequest.status=503", "audit"),
    ("severity=ERROR\nhttpRequest.status=503", "req"),
    ("severity=ERROR -- and not\n-- httpRequest.status=503", "req audit"),
    ("insertId=plain OR exit", "plain exit"),
    # Functions
    ('SEARCH("server")', "plain"),
    ('SEARCH("serv")', ""),
    ('SEARCH("server STARTED")', "plain"),
    ('SEARCH("`started server`")', "plain"),
    ('SEARCH("`server started`")', ""),
    ('SEARCH(textPayload, "exit called")', "exit"),
    ('search(jsonPayload, "placed order")', "json"),
    ("sample(insertId, 1)", ALL),
    ("sample(jsonPayload.cat, 1)", "json"),
    ('ip_in_net(httpRequest.remoteIp, "10.1.2.0/24")', "req"),
    ('ip_in_net(httpRequest.remoteIp, "10.2.0.0/16")', ""),
    (f"source({PARENT})", ALL),
    ('CAST(timestamp, STRING)=~"12:00:04\\.123456789Z$"', "req"),
    ('CAST(REGEXP_EXTRACT(textPayload, "exit\\((\\d)\\)"), INT64)>=3', "exit"),
]


@pytest.mark.parametrize(("filter_", "found"), CASES, ids=[case[0] or "empty" for case in CASES])
def test_what_a_filter_finds(logging: Rig, filter_: str, found: str) -> None:
    assert " ".join(one.insert_id for one in logging.listed(filter_)) == found


@pytest.mark.parametrize(
    "filter_",
    [
        "thud=1",
        "operation.thud=1",
        "textPayload.thud:x",
        "severity.x=1",
        "timestamp.seconds>1",
        "resource.thud=1",
        'thud("x")',
        "SEARCH(textPayload)",
        "sample(insertId, 2)",
        'ip_in_net(httpRequest.remoteIp, "no net")',
        'textPayload=~"("',
        'textPayload=~"(?=x)"',
        'textPayload=~"(a)\\\\1"',
        'REGEXP_EXTRACT(textPayload, "a")="a"',
        "log_id()",
    ],
)
def test_what_no_entry_can_have_is_refused(logging: Rig, filter_: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Unparseable filter: "):
        logging.listed(filter_)


def test_the_window_that_the_hand_written_client_adds_is_understood(logging: Rig) -> None:
    found = logging.listed(f'severity=ERROR OR severity=INFO AND timestamp>="{DAY}T12:00:03+0000"')
    assert [one.insert_id for one in found] == ["req", "audit"]


def test_a_sample_is_a_share_and_always_the_same(logging: Rig) -> None:
    log = f"{PARENT}/logs/many"
    logging.store.write([entry("m", f"{DAY}T11:00:00Z", log) for _ in range(1000)])
    asked = 'log_id("many") AND sample(insertId, 0.25)'
    first = [one.insert_id for one in logging.listed(asked, page_size=1000)]
    assert 200 < len(first) < 300
    assert [one.insert_id for one in logging.listed(asked, page_size=1000)] == first
    logging.store.delete(log)
