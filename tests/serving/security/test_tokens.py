"""Tokens: who may call what, how the file is read, and that no token is ever told to anybody."""

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Any

import grpc
import httpx2
import openai
import pytest
from click.testing import CliRunner
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import generate_latest

from riverrun.cli.config import config
from riverrun.cli.token import token as token_command
from riverrun.client import Client
from riverrun.errors import InvalidValue, RequestFailed
from serving.security import tokens as tokens_module
from serving.security.roles import BY_SERVICE, ROLES, role_for
from serving.security.tokens import Grant, Tokens
from serving.server import SERVICES
from tests.serving.published import Published
from tests.serving.running_server import running_server, wait_for
from tests.serving.test_life import SERVING, health

TOKENS = {role: f"secret-token-of-{role}-0123456789" for role in ROLES}
LINES = [
    f"anna read {TOKENS['read']}",
    "# who may rate",
    "",
    f"ben feedback sha256:{hashlib.sha256(TOKENS['feedback'].encode()).hexdigest()}",
    f"cleo admin {TOKENS['admin']}",
]


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("\n".join(LINES))
    path.chmod(0o600)
    return path


def test_every_service_has_its_role_and_an_unknown_one_takes_the_highest() -> None:
    assert set(BY_SERVICE) == set(SERVICES)
    assert role_for("/riverrun.v1.Generation/Chat") == "read"
    assert role_for("/riverrun.v1.Admin/Promote") == "admin"
    assert role_for("/riverrun.v2.New/Thing") == "admin"


def test_a_role_may_what_the_ones_below_it_may_and_no_more(
    published: Published, tokens_file: Path
) -> None:
    published.publish(1)
    with running_server(published.root, tokens_file=tokens_file) as server:
        address = server.wait_ready()
        assert health(address) == {SERVING}, "a probe has no token"
        with grpc.insecure_channel(address) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            (reply,) = stub.ServerReflectionInfo(iter([ask]))
            assert len(reply.list_services_response.service) > len(SERVICES), "nor has a tool"

        def code(call: str, token: str | None) -> RequestFailed | None:
            with Client(address, token=token, timeout_s=20, retries=0) as client:
                try:
                    if call == "read":
                        client.generate("x", max_tokens=1)
                    elif call == "feedback":
                        client.rate("no-such-reply", 1)
                    else:
                        client.promote("no-such-version")
                except RequestFailed as failed:
                    return failed
            return None

        for needed in ROLES:
            for role in ROLES:
                failed = code(needed, TOKENS[role])
                if ROLES.index(role) < ROLES.index(needed):
                    assert failed is not None
                    assert failed.code == "PERMISSION_DENIED"
                    assert failed.reason == "PERMISSION_DENIED"
                    assert failed.metadata["role"] == needed
                elif needed != "read":
                    assert failed is not None
                    assert failed.code == "NOT_FOUND", "it was let in, and named nothing"
                else:
                    assert failed is None
            for wrong in (None, "a-token-that-nobody-has", TOKENS["admin"][:-1]):
                failed = code(needed, wrong)
                assert failed is not None
                assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        wait_for(lambda: server.codes().get("UNAUTHENTICATED") == 3, "counted")


def test_http_knows_the_same_tokens(published: Published, tokens_file: Path) -> None:
    published.publish(1)
    with running_server(published.root, tokens_file=tokens_file) as server:
        server.wait_ready()
        url = server.http_address
        for role in ROLES:
            client = openai.OpenAI(base_url=f"{url}/v1", api_key=TOKENS[role], max_retries=0)
            assert client.completions.create(model="tiny", prompt="x", max_tokens=1).id
        wrong = openai.OpenAI(base_url=f"{url}/v1", api_key="nobody", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            wrong.models.list()
        bare = httpx2.get(f"{url}/v1/models")
        assert bare.status_code == 401
        assert bare.headers["www-authenticate"] == "Bearer"
        assert bare.json()["error"]["code"] == "unauthenticated"
        basic = httpx2.get(f"{url}/v1/models", auth=("anna", TOKENS["read"]))
        assert basic.status_code == 401
        assert httpx2.get(f"{url}/readyz").status_code == 200


def test_a_request_is_not_read_before_its_caller_is_known(
    published: Published, tokens_file: Path
) -> None:
    published.publish(1)
    with (
        running_server(published.root, tokens_file=tokens_file) as server,
        grpc.insecure_channel(server.wait_ready()) as channel,
    ):
        call = channel.unary_unary("/riverrun.v1.Admin/Promote")
        with pytest.raises(grpc.RpcError) as failed:
            call(b"\xff not a message", timeout=10)
        error = failed.value
        assert isinstance(error, grpc.Call)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
        (detail,) = status_pb2.Status.FromString(bytes(details)).details
        info = error_details_pb2.ErrorInfo()
        assert detail.Unpack(info)
        assert info.domain == "riverrun"
        answered = httpx2.post(f"{server.http_address}/v1/completions", content=b"{not json")
        assert answered.status_code == 401


def test_no_token_is_told_to_logs_errors_metrics_or_config(
    published: Published, tokens_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    published.publish(1)
    said: list[str] = []
    wrong = "a-wrong-token-that-is-secret-as-well"
    with running_server(published.root, tokens_file=tokens_file, access_log=True) as server:
        address, url = server.wait_ready(), server.http_address
        for token in (TOKENS["read"], wrong):
            with Client(address, token=token, timeout_s=20, retries=0) as client:
                for call in (lambda c=client: c.generate("x"), lambda c=client: c.pause_learning()):
                    try:
                        call()
                    except RequestFailed as failed:
                        said.append(f"{failed!r} {failed.metadata}")
            headers = {"Authorization": f"Bearer {token}"}
            said.append(httpx2.get(f"{url}/v1/models", headers=headers).text)
        tokens_file.write_text(f"{wrong} {wrong} {wrong}\n{TOKENS['read']}\n")
        wait_for(
            lambda: (
                httpx2.get(f"{url}/v1/models", headers=headers).status_code == 401
                and "tokens stay as they were" in caplog.text
            ),
            "the wrong file is noticed",
        )
        said.append(generate_latest(server.running.registry).decode())
    said.append(CliRunner().invoke(config, []).output)
    # The clients are in this process too; what their libraries log is not ours.
    records = [record for record in caplog.records if not record.name.startswith("http")]
    callers = {getattr(record, "fields", {}).get("by") for record in records}
    assert callers >= {"anna", "-"}, "the access log names whom a token belongs to"
    said += [f"{record.getMessage()} {vars(record)}" for record in records]
    everything = "\n".join(said)
    for secret in (*TOKENS.values(), wrong, hashlib.sha256(wrong.encode()).hexdigest()):
        assert secret not in everything


def test_a_changed_file_holds_from_then_on_and_a_wrong_one_changes_nothing(
    tokens_file: Path,
) -> None:
    taken: list[bool] = []
    tokens = Tokens(tokens_file, look_interval_s=0, on_reload=taken.append)
    assert tokens.find(TOKENS["read"]) == Grant("anna", "read")
    assert tokens.find(TOKENS["feedback"]) == Grant("ben", "feedback")
    assert tokens.find("nobody") is None

    tokens_file.write_text(f"dora admin {TOKENS['read']}\n")
    assert tokens.find(TOKENS["read"]) == Grant("dora", "admin")
    assert tokens.find(TOKENS["admin"]) is None
    for wrong in ("dora emperor 0123456789abcdef", "", "only two"):
        tokens_file.write_text(wrong)
        assert tokens.find(TOKENS["read"]) == Grant("dora", "admin")
    tokens_file.unlink()
    assert tokens.find(TOKENS["read"]) == Grant("dora", "admin")
    assert taken == [True, False, False, False, False]


def test_a_token_is_compared_with_every_entry_by_its_hash(
    tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare_digest = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    tokens = Tokens(tokens_file)
    monkeypatch.setattr(tokens_module.hmac, "compare_digest", compare)
    for token in (*TOKENS.values(), "nobody"):
        compared.clear()
        tokens.find(token)
        assert len(compared) == len(TOKENS), "as many for the first, the last and none"
        assert {len(part) for pair in compared for part in pair} == {32}


@pytest.mark.parametrize(
    "line",
    [
        "anna read",
        "anna read 0123456789abcdef more",
        "an/na read 0123456789abcdef",
        "anna reader 0123456789abcdef",
        "anna read short",
        "anna read sha256:12",
        "anna read überall-überall-überall",
        f"a read {TOKENS['read']}\nb admin {TOKENS['read']}",
    ],
)
def test_a_wrong_line_is_named_by_its_number_and_never_quoted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# tokens\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"line [23]") as error:
        Tokens(path)
    assert error.value.field == "serving.tokens_file"
    assert line.split()[-1] not in str(error.value)


def test_the_command_makes_a_line_that_lets_its_token_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made = [
        CliRunner()
        .invoke(token_command, [name, "--role", role, "--file", str(path)])
        .output.strip()
        for name, role in (("anna", "read"), ("ben", "admin"))
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(token in path.read_text() for token in made)
    tokens = Tokens(path)
    assert [tokens.find(token) for token in made] == [Grant("anna", "read"), Grant("ben", "admin")]
