"""What Google's clients raise, over gRPC and REST, becomes one error of this platform's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import google.api_core.exceptions
import google.auth.exceptions
import grpc  # type: ignore[import-untyped]
import pytest
import requests.exceptions
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2

from loopctl.platforms.cloud_run.errors import ApiError, Code, translated
from loopctl.platforms.cloud_run.operations import Started, begun

# Google's exceptions say nothing of their types.
api: Any = google.api_core.exceptions
auth: Any = google.auth.exceptions


def raised(error: BaseException) -> ApiError:
    with pytest.raises(ApiError) as told, translated("deploy chat", "chat"):
        raise error
    return told.value


@pytest.mark.parametrize(
    ("error", "code", "unknown"),
    [
        (api.NotFound("x"), Code.NOT_FOUND, False),
        (api.Aborted("x"), Code.ABORTED, False),
        (api.AlreadyExists("x"), Code.ALREADY_EXISTS, False),
        # Over REST both are a 409.
        (
            api.Conflict("Conflict for resource 'chat': version '1' was specified"),
            Code.ABORTED,
            False,
        ),
        (api.Conflict("Resource 'chat' already exists."), Code.ALREADY_EXISTS, False),
        (api.FailedPrecondition("x"), Code.FAILED_PRECONDITION, False),
        (api.BadRequest("x"), Code.INVALID_ARGUMENT, False),
        (api.Forbidden("x"), Code.PERMISSION_DENIED, False),
        (api.Unauthorized("x"), Code.UNAUTHENTICATED, False),
        (api.TooManyRequests("x"), Code.RESOURCE_EXHAUSTED, False),
        (api.MethodNotImplemented("x"), Code.UNIMPLEMENTED, False),
        (api.ServiceUnavailable("x"), Code.UNAVAILABLE, True),
        (api.BadGateway("x"), Code.UNAVAILABLE, True),
        (api.GatewayTimeout("x"), Code.DEADLINE_EXCEEDED, True),
        (api.DeadlineExceeded("x"), Code.DEADLINE_EXCEEDED, True),
        (api.InternalServerError("x"), Code.INTERNAL, True),
        (api.RetryError("x", cause=None), Code.UNAVAILABLE, True),
        (api.GoogleAPIError("x"), Code.UNKNOWN, True),
        (auth.DefaultCredentialsError("x"), Code.UNAUTHENTICATED, False),
        (requests.exceptions.ConnectionError("x"), Code.UNAVAILABLE, True),
        (requests.exceptions.ReadTimeout("x"), Code.DEADLINE_EXCEEDED, True),
        (ConnectionResetError("x"), Code.UNAVAILABLE, True),
        (TimeoutError("x"), Code.DEADLINE_EXCEEDED, True),
        # An answer that came, and that the client cannot read.
        (json_format.ParseError("x"), Code.UNKNOWN, True),
    ],
)
def test_every_error_has_its_status(error: Exception, code: Code, unknown: bool) -> None:
    told = raised(error)
    assert told.code is code
    assert told.outcome_unknown is unknown
    assert told.what.startswith("cannot deploy chat: ")
    assert told.where == "chat"


def test_a_field_that_is_wrong_is_named() -> None:
    wrong = error_details_pb2.BadRequest.FieldViolation(field="traffic.tag", description="too long")
    over_grpc = api.InvalidArgument(
        "x", details=[error_details_pb2.BadRequest(field_violations=[wrong])]
    )
    in_json = {"fieldViolations": [{"field": "traffic.tag", "description": "too long"}]}
    over_rest = api.BadRequest("x", details=[in_json])
    for error in (over_grpc, over_rest):
        assert raised(error).what == "cannot deploy chat: traffic.tag: too long"


def test_of_grpc_the_status_itself_counts() -> None:
    call = SimpleNamespace(code=lambda: grpc.StatusCode.ABORTED)
    error = api.from_grpc_status(grpc.StatusCode.ABORTED, "x", errors=(call,))
    assert raised(error).code is Code.ABORTED


def operation(**given: Any) -> Any:
    return operations_pb2.Operation(name="o/1", **given)


def test_an_operation_is_begun_done_or_failed() -> None:
    failed = operation(done=True)
    failed.error.code, failed.error.message = code_pb2.ABORTED, "Conflict for resource"
    cases = [
        (operation(), False, None),
        (operation(done=True), True, None),
        (failed, True, Code.ABORTED),
    ]
    for told, done, code in cases:
        started = Started.of(told)
        assert (started.operation, started.done) == ("o/1", done)
        assert (started.error.code if started.error else None) is code
    odd = operation(done=True)
    odd.error.code = 99
    assert Started.of(odd).error is not None


def test_a_result_of_another_type_is_a_result() -> None:
    def stumble() -> Any:
        raise TypeError("Could not convert `google.protobuf.Empty` with underlying type …")

    def wrong() -> Any:
        raise TypeError("'int' object is not callable")

    assert begun(stumble) == Started("", done=True)
    with pytest.raises(TypeError):
        begun(wrong)


def test_a_connection_that_was_cut_is_told_in_words() -> None:
    cut = ConnectionResetError("Remote end closed connection without response")
    error = raised(requests.exceptions.ConnectionError("Connection aborted.", cut))
    assert error.what == "cannot deploy chat: the connection was cut before the answer came"
    assert error.outcome_unknown
