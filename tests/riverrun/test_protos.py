"""The committed interface code is what the protos give, and the protos are as buf wants them."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))
RELEASED = ROOT / "protos" / "released.binpb"


def test_the_committed_code_is_generated_from_the_protos(tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", *outputs, *PROTOS],
        check=True,
    )
    made = {path.name: path.read_text() for path in (tmp_path / "riverrun" / "v1").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "riverrun" / "v1").glob("*_pb2*")}
    assert made.keys() == committed.keys(), "run `make protos`"
    for name in made:
        assert made[name] == committed[name], f"{name} is stale: run `make protos`"


def buf(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *arguments], cwd=cwd, capture_output=True, text=True)


def buf_breaking(directory: Path, changes: Iterable[tuple[str, str]]) -> str:
    """What it says of the protos with `generation.proto` changed in these places."""
    shutil.copytree(ROOT / "protos", directory / "protos")
    shutil.copy(ROOT / "buf.yaml", directory)
    proto = directory / "protos" / "riverrun" / "v1" / "generation.proto"
    text = proto.read_text()
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    proto.write_text(text)
    found = buf("breaking", "--against", str(RELEASED), cwd=directory)
    assert (found.returncode, found.stderr) in ((0, ""), (100, ""))
    assert (found.returncode == 0) == (not found.stdout)
    return found.stdout


def test_the_protos_break_no_client_of_the_released_ones() -> None:
    found = buf("breaking", "--against", str(RELEASED))
    assert found.returncode == 0, found.stdout + found.stderr


COUNT = "  rpc CountTokens(CountTokensRequest) returns (CountTokensResponse);\n"

BREAKING = {
    "a method gone": (COUNT, "", 'RPC "CountTokens"'),
    "a message gone": (
        "message CountTokensResponse {",
        "message Counted {",
        '"CountTokensResponse"',
    ),
    "another request": ("rpc Embed(EmbedRequest)", "rpc Embed(ScoreRequest)", 'RPC "Embed"'),
    "a stream no more": (
        "rpc Chat(ChatRequest) returns (stream GenerateResponse)",
        "rpc Chat(ChatRequest) returns (GenerateResponse)",
        'RPC "Chat"',
    ),
    "a field gone": ("  bool likeliest = 4;\n", "", '"likeliest"'),
    "a field reserved": ("float min_p = 5;", "reserved 5;", '"min_p"'),
    "a field's number": ("bool per_token = 2;", "bool per_token = 9;", '"per_token"'),
    "a field's name": ("uint32 prompt_tokens = 2;", "uint32 asked = 2;", '"prompt_tokens"'),
    "a field's type": ("double bits_per_byte = 2;", "string bits_per_byte = 2;", '"bits_per_byte"'),
    "a field's label": ("uint32 bytes = 4;", "repeated uint32 bytes = 4;", '"bytes"'),
    "a value gone": ("  VERSION_MODE_PINNED = 1;\n", "", 'value "1" on enum "VersionMode"'),
    "a value's name": (
        "FINISH_REASON_STOP = 3;",
        "FINISH_REASON_HALT = 3;",
        '"FINISH_REASON_STOP"',
    ),
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A line for each of the changes that break, all made at once: buf takes its time to start."""
    changes = [(before, after) for before, after, _ in BREAKING.values()]
    return buf_breaking(tmp_path_factory.mktemp("broken"), changes).splitlines()


@pytest.mark.parametrize("kind", BREAKING)
def test_a_change_that_breaks_clients_fails_the_check_and_is_named(
    findings: list[str], kind: str
) -> None:
    named = BREAKING[kind][2]
    assert any("generation.proto:" in line and named in line for line in findings), findings


def test_a_field_and_a_method_more_break_nobody(tmp_path: Path) -> None:
    more = "  rpc CountMore(CountMoreRequest) returns (CountMoreResponse);\n"
    messages = "message CountMoreRequest {}\n\nmessage CountMoreResponse {}\n\n"
    changes = [
        ("bool per_token = 2;", "bool per_token = 2;\n  bool more = 9;"),
        (COUNT, COUNT + more),
        ("message CountTokensRequest {", f"{messages}message CountTokensRequest {{"),
    ]
    assert buf_breaking(tmp_path, changes) == ""


def undocumented(described: FileDescriptorProto) -> Iterator[str]:
    """What has no comment of its own. The messages of a method have the method's."""
    places = described.source_code_info.location
    commented = {tuple(place.path) for place in places if place.leading_comments.strip()}

    def check(found: Any, *path: int) -> Iterator[str]:
        if path not in commented:
            yield f"{described.name}: {found.name}"

    def each(parent: Any, field: str, *path: int) -> Iterator[tuple[Any, tuple[int, ...]]]:
        number = parent.DESCRIPTOR.fields_by_name[field].number
        return ((one, (*path, number, i)) for i, one in enumerate(getattr(parent, field)))

    of_methods: set[str] = set()
    for service, place in each(described, "service"):
        yield from check(service, *place)
        for method, method_place in each(service, "method", *place):
            yield from check(method, *method_place)
            of_methods |= {method.input_type, method.output_type}
    for message, place in each(described, "message_type"):
        if f".{described.package}.{message.name}" not in of_methods:
            yield from check(message, *place)
        for field, field_place in each(message, "field", *place):
            yield from check(field, *field_place)
    for enum, place in each(described, "enum_type"):
        yield from check(enum, *place)
        for value, value_place in each(enum, "value", *place):
            yield from check(value, *value_place)


def test_every_method_message_field_and_value_is_explained(tmp_path: Path) -> None:
    image = tmp_path / "protos.binpb"
    how = ("--include_source_info", f"--descriptor_set_out={image}", f"-I{ROOT / 'protos'}")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *how, *PROTOS], check=True)
    files = FileDescriptorSet.FromString(image.read_bytes()).file
    assert len(files) == len(PROTOS)
    assert [name for one in files for name in undocumented(one)] == []


def test_make_check_holds_the_protos_against_the_released_ones_on_every_machine() -> None:
    check = (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert "\n\t$(BIN)/buf breaking --against protos/released.binpb" in check


def test_buf_finds_nothing_to_lint() -> None:
    found = buf("lint")
    assert found.returncode == 0, found.stdout + found.stderr
