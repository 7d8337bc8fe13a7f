"""The feed's description: the code is what the .proto makes, and both are what the SDK speaks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as referee

from brokers.upstox.generated import MarketDataFeedV3_pb2 as ours
from tests.protos import described, shape

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
    mine, theirs = described(ours), described(referee)
    assert shape(mine) == shape(theirs)
    assert mine.package != theirs.package  # one process may load both


def test_description_is_the_whole_of_version_3() -> None:
    """As many messages, fields and enums as the broker published: an addition is seen here."""
    file = described(referee)
    maps = [m for message in file.message_type for m in message.nested_type]
    assert file.package == "com.upstox.marketdatafeederv3udapi.rpc.proto"
    assert [message.options.map_entry for message in maps] == [True] * 4
    assert len(file.message_type) == 14
    assert sum(len(message.field) for message in file.message_type) == 62
    assert [enum.name for enum in file.enum_type] == ["Type", "RequestMode", "MarketStatus"]


def _without_version(code: str) -> str:
    """Generated code names the generator's version, which may move within the lock."""
    code = re.sub(r"# Protobuf Python Version: .*", "", code)
    return re.sub(r"_runtime_version\.Domain\.PUBLIC,\s+\d+,\s+\d+,\s+\d+,", "", code)
