"""The two messages of Secret Manager that are served, made here: its package is not installed."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
_PACKAGE = "google.cloud.secretmanager.v1"
_STATES = ("STATE_UNSPECIFIED", "ENABLED", "DISABLED", "DESTROYED")
_TEXT = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_ENUM = descriptor_pb2.FieldDescriptorProto.TYPE_ENUM


def _file() -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(
        name="loopctl/tests/secretmanager.proto", package=_PACKAGE, syntax="proto3"
    )
    request = made.message_type.add(name="GetSecretVersionRequest")
    request.field.add(name="name", number=1, type=_TEXT, label=1, json_name="name")
    version = made.message_type.add(name="SecretVersion")
    version.field.add(name="name", number=1, type=_TEXT, label=1, json_name="name")
    states = version.enum_type.add(name="State")
    for number, name in enumerate(_STATES):
        states.value.add(name=name, number=number)
    version.field.add(
        name="state",
        number=4,
        type=_ENUM,
        label=1,
        json_name="state",
        type_name=f".{_PACKAGE}.SecretVersion.State",
    )
    return made


def _classes() -> tuple[Any, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    names = ("GetSecretVersionRequest", "SecretVersion")
    found = [pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in names]
    request, version = map(message_factory.GetMessageClass, found)
    return request, version


GetSecretVersionRequest, SecretVersion = _classes()
"""protobuf makes its classes at run time: a checker sees none of their fields."""
