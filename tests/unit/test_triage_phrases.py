"""A cause is known by its words alone, as many systems put them, and not by words like them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from loopctl.triage.diagnose import diagnose
from loopctl.triage.export.reading import read_export
from loopctl.triage.export.symptoms import captures_of, symptoms_of
from loopctl.triage.loading import load_catalogue

CATALOGUE = load_catalogue()

KNOWN = [
    ("deploy.exit-code", "Container called exit(1)."),
    ("deploy.exit-code", "api-1 exited with code 3"),
    (
        "deploy.exit-code",
        "systemd[1]: chat.service: Main process exited, code=exited, status=3/X",
    ),
    (
        "deploy.exit-code",
        "Warning  BackOff  kubelet  Back-off restarting failed container chat in pod chat-7f",
    ),
    ("deploy.killed", "Uncaught signal: 6, pid=1, tid=1, fault_addr=0."),
    ("deploy.killed", "Container terminated on signal 11."),
    (
        "deploy.out-of-memory",
        "Memory limit of 512M exceeded with 526M used.",
    ),
    (
        "deploy.out-of-memory",
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    ),
    (
        "deploy.out-of-memory",
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
    ),
    ("deploy.out-of-memory", "Last State: Terminated  Reason: OOMKilled  Exit Code: 137"),
    ("deploy.missing-configuration", "ERROR environment variable DATABASE_URL is not set"),
    (
        "deploy.missing-configuration",
        'panic: env: required environment variable "JWT_SECRET" is not set',
    ),
    ("deploy.missing-configuration", "ValueError: REDIS_PASSWORD must be set in staging"),
    ("deploy.missing-configuration", "KeyError: 'STRIPE_API_KEY'"),
    (
        "deploy.missing-configuration",
        "Error: Missing required environment variables: JWT_SECRET, DB_URL",
    ),
    (
        "deploy.missing-configuration",
        "Could not resolve placeholder 'JWT_SECRET' in value \"${JWT_SECRET}\"",
    ),
    ("health.never-ready", "Readiness probe failed: HTTP probe failed with statuscode: 500"),
    ("health.redirect", '10.0.0.1 - - [10/Sep/2025:05:41:00 +0000] "GET /health HTTP/1.1" 307 0'),
    ("health.redirect", 'INFO request method="GET" path="/healthz" status=301 latency_ms=1.1'),
    ("health.unstable", 'INFO:     10.0.0.9:1 - "POST /messages HTTP/1.1" 503 Service Unavailable'),
    (
        "dependency.database",
        "django.db.utils.OperationalError: FATAL:  sorry, too many clients already",
    ),
    ("dependency.database", "Error: connect ECONNREFUSED 10.1.2.3:5432"),
    ("dependency.database", "dial tcp 10.1.2.3:5432: connect: connection refused"),
    (
        "dependency.database",
        "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
    ),
    ("dependency.database", "ERROR: canceling statement due to statement timeout"),
    ("dependency.database", "Timed out fetching a new connection from the connection pool."),
    ("dependency.database", "pymongo.errors.ServerSelectionTimeoutError: mongo:27017: timed out"),
    ("dependency.database", "PostgreSQL: 10.7 second response, expected below 3"),
    ("dependency.cache", "redis.exceptions.TimeoutError: Timeout connecting to server"),
    ("dependency.cache", "dial tcp 10.1.2.3:6379: i/o timeout"),
    ("dependency.cache", "ERROR could not connect to redis at cache:6379"),
    ("platform.no-instance", "The request was aborted because there was no available instance."),
    ("platform.image-missing", 'Failed to pull image "registry/chat:2": manifest unknown'),
    ("platform.image-missing", "Image 'eu-docker.pkg.dev/p/r/chat:1' not found."),
    (
        "platform.permission-denied",
        "Permission 'iam.serviceaccounts.actAs' denied on service account x@p.iam",
    ),
    ("platform.permission-denied", "denied: requested access to the resource is denied"),
    ("platform.quota", "Quota exceeded for total allowable CPU per project per region."),
    (
        "platform.secret-denied",
        "Permission denied on secret: projects/1/secrets/jwt/versions/latest for a@b",
    ),
    (
        "deploy.client-timed-out",
        "ERROR: gcloud crashed (TimeoutError): deploy timed out, operation still in progress",
    ),
    ("ws.closed-1000", "received 1000 (OK) main cleanup; then sent 1000 (OK) main cleanup"),
    ("ws.closed-1011", "Connection closed with 1011: Factory SSOT validation failed"),
    (
        "ws.closed-1011",
        "ConnectionClosedError: received 1011 (unexpected error); then sent 1011",
    ),
    (
        "service.interface-changed",
        "TypeError: ExecutionResult.__init__() got an unexpected keyword argument 'success'",
    ),
    ("test.nothing-collected", "===== no tests ran in 0.02s ====="),
    ("test.nothing-collected", "===== 6 skipped in 0.12s ====="),
    ("test.mocked", "WARNING: Using MockWebSocketManager due to connection failure"),
    ("test.timeout", "E   Failed: Timeout >120.0s"),
    ("deploy.stale-image", "ERROR image tree 77ab01c does not match source tree 90ffe21"),
    ("deploy.stale-image", "ERROR git_sha mismatch: deployed=8f2c1aa expected=19d714b"),
    ("build.step-failed", "The command '/bin/sh -c npm ci' returned a non-zero code: 1"),
]

INNOCENT = [
    "INFO worker exited with code 0",
    "INFO exit(0) handler registered",
    "WARNING SENTRY_DSN not set",
    "INFO JWT_SECRET is set, REDIS_PASSWORD is set, nothing missing",
    "INFO docs: DATABASE_URL is required in production, see README (optional here)",
    "INFO pool timeout=30 configured for the database, max 10 s",
    "INFO database connected in 12 ms",
    "INFO query took 43 ms",
    "INFO orders pool on pg-primary:5432 timeout=20 size=8",
    "DEBUG dsn postgresql://pg-primary:5432/orders?connect_timeout=10",
    "INFO sessions kept at redis-main:6379 timeout=5",
    "INFO settings: SIGNING_SECRET_EU required in this environment: present",
    "INFO STRIPE_SECRET_EU is required here (set)",
    "DEBUG cache miss for key session:9, falling back to the database",
    "INFO redis connection pool: 4 of 10 in use, 0 timeouts",
    "INFO quota 3 of 10 used",
    "INFO permission denied for user-9 on /admin, as it should be",
    "INFO test_no_instance_available passed",
    "INFO 429 for client 10.0.0.9: 100 requests a minute are allowed",
    "INFO image 'avatar.png' not found, using the default",
    "INFO memory 471 MiB of 512 MiB used",
    "INFO GET /old-page 301 in 2 ms",
    'INFO request method="GET" path="/health" status=200 latency_ms=503',
    'INFO websocket closed code=1000 reason="bye"',
    "INFO client sent 1011 after its keepalive ping timed out",
    "INFO signal 15 received, draining",
    "INFO commit 19d714b deployed, as expected",
    "INFO deploy finished before its timeout of 600 s",
    "INFO 36 passed, 6 skipped in 12.1s",
    "INFO tests use MockClock, no network is mocked",
    "INFO retrying in 1 s (attempt 1 of 5)",
    "INFO operation 3f2c done after 41 s",
    "INFO TypeError is now raised for unknown keyword arguments (changelog)",
    "INFO listening on 0.0.0.0:8080",
]


def found(text: str) -> list[str | None]:
    export = read_export(Path("-"), io.BytesIO(text.encode()))
    symptoms, _ = symptoms_of(captures_of(export), None)
    return [finding.signature for finding in diagnose(symptoms, CATALOGUE).findings]


@pytest.mark.parametrize(("signature", "line"), KNOWN)
def test_one_line_is_enough_to_name_the_cause(signature: str, line: str) -> None:
    assert found(f"INFO starting\n{line}\n")[:1] == [signature]


@pytest.mark.parametrize("line", INNOCENT)
def test_a_line_that_only_sounds_like_it_names_none(line: str) -> None:
    assert found(f"INFO starting\n{line}\n") == []
