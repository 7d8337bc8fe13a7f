"""The feed's description: the code is what the .proto makes, and both are what the SDK speaks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as referee

from brokers.upstox.generated import MarketDataFeedV3_pb2 as ours

ROOT = Path(__file__).resolve().parents[3]
VIRTUAL = "brokers/upstox/generated"


@pytest.mark.parametrize("suffix", ["_pb2.py", "_pb2.pyi"])
def test_generated_code_is_what_the_proto_makes(tmp_path: Path, suffix: str) -> None:
    """Nobody edits generated code, and nobody forgets to generate it."""
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        *("-I", f"{VIRTUAL}=brokers/upstox/proto"),
        *(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"),
        f"{VIRTUAL}/MarketDataFeedV3.proto",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    name = f"{VIRTUAL}/MarketDataFeedV3{suffix}"
    assert _without_version((tmp_path / name).read_text()) == _without_version(
        (ROOT / name).read_text()
    )


def test_description_equals_the_sdk() -> None:
    """Names, numbers, types, presence, oneofs, maps, enum values; only package and file differ."""
    mine, theirs = _described(ours), _described(referee)
    assert [m.name for m in mine.message_type] == [m.name for m in theirs.message_type]
    for message, other in zip(mine.message_type, theirs.message_type, strict=True):
        assert _shape(message) == _shape(other)
    assert _enums(mine) == _enums(theirs)
    assert not [*mine.service, *mine.extension, *theirs.service, *theirs.extension]
    assert mine.syntax == theirs.syntax == "proto3"
    assert list(mine.dependency) == list(theirs.dependency)


def test_description_is_the_whole_of_version_3() -> None:
    """As many messages, fields and enums as the broker published: an addition is seen here."""
    described = _described(referee)
    maps = [m for message in described.message_type for m in message.nested_type]
    assert described.package == "com.upstox.marketdatafeederv3udapi.rpc.proto"
    assert [message.options.map_entry for message in maps] == [True] * 4
    assert len(described.message_type) == 14
    assert sum(len(message.field) for message in described.message_type) == 62
    assert [enum.name for enum in described.enum_type] == ["Type", "RequestMode", "MarketStatus"]


def _described(module: object) -> FileDescriptorProto:
    described = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(described)  # type: ignore[attr-defined]
    return described


def _shape(message: DescriptorProto) -> tuple[object, ...]:
    return (
        message.name,
        sorted(_field(f) for f in message.field),
        [oneof.name for oneof in message.oneof_decl],
        [_shape(nested) for nested in message.nested_type],
        [enum.name for enum in message.enum_type],
        [(reserved.start, reserved.end) for reserved in message.reserved_range],
        message.options.SerializeToString(),
    )


def _field(field: FieldDescriptorProto) -> tuple[object, ...]:
    type_name = re.sub(
        r"^\.(optionlake\.upstox\.feed\.v3|com\.upstox\..*?\.proto)\.", "", field.type_name
    )
    oneof = field.oneof_index if field.HasField("oneof_index") else None
    presence = (field.label, field.proto3_optional, str(oneof))
    options = (field.json_name, field.default_value, field.options.SerializeToString())
    return (field.number, field.name, field.type, type_name, *presence, *options)


def _enums(described: FileDescriptorProto) -> list[tuple[str, list[tuple[str, int]]]]:
    return [(e.name, [(v.name, v.number) for v in e.value]) for e in described.enum_type]


def _without_version(code: str) -> str:
    """Generated code names the generator's version, which may move within the lock."""
    code = re.sub(r"# Protobuf Python Version: .*", "", code)
    return re.sub(r"_runtime_version\.Domain\.PUBLIC,\s+\d+,\s+\d+,\s+\d+,", "", code)
