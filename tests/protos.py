"""The description of a protobuf schema, for comparing two by everything but package and file."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)


def described(module: object) -> FileDescriptorProto:
    """The description that generated code carries."""
    found = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(found)  # type: ignore[attr-defined]
    return found


def shape(file: FileDescriptorProto) -> tuple[object, ...]:
    """Messages, fields, presence, oneofs, maps, enums and their values, services, imports."""
    return (
        file.syntax,
        list(file.dependency),
        [_message(message, file.package) for message in file.message_type],
        [(enum.name, [(v.name, v.number) for v in enum.value]) for enum in file.enum_type],
        [service.name for service in file.service],
        [extension.name for extension in file.extension],
    )


def _message(message: DescriptorProto, package: str) -> tuple[object, ...]:
    return (
        message.name,
        sorted(_field(field, package) for field in message.field),
        [oneof.name for oneof in message.oneof_decl],
        [_message(nested, package) for nested in message.nested_type],
        [enum.name for enum in message.enum_type],
        [(reserved.start, reserved.end) for reserved in message.reserved_range],
        message.options.SerializeToString(),
    )


def _field(field: FieldDescriptorProto, package: str) -> tuple[object, ...]:
    oneof = field.oneof_index if field.HasField("oneof_index") else None
    return (
        field.number,
        field.name,
        field.type,
        field.type_name.removeprefix(f".{package}."),
        field.label,
        field.proto3_optional,
        str(oneof),
        field.json_name,
        field.default_value,
        field.options.SerializeToString(),
    )
