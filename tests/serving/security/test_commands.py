"""The commands that speak gRPC, against a server with TLS and tokens."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from riverrun.cli import root
from tests.serving.published import Published
from tests.serving.running_server import running_server
from tests.serving.security.authority import Authority

TOKEN = "a-token-for-commands-0123456789"


@pytest.mark.parametrize("given", ["file", "environment"])
def test_commands_find_certificate_and_token_in_the_settings(
    published: Published, tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "pki")
    # The certificate of the public name: commands on this machine call 127.0.0.1.
    cert, key, _ = authority.issue("server", "river.example")
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me read {TOKEN}\n")
    mine = tmp_path / "my-token"
    mine.write_text(f"{TOKEN}\n")
    published.publish(1)
    toml = f"""
        model = "tiny"
        [serving]
        tls_cert = "{cert}"
        tls_key = "{key}"
        tokens_file = "{tokens}"
        [client]
        tls_ca = "{authority.ca}"
        tls_name = "river.example"
    """
    if given == "file":
        toml += f'token_file = "{mine}"\n'
    (published.root / "riverrun.toml").write_text(toml)
    options = {"tls_cert": cert, "tls_key": key, "tokens_file": tokens}
    with running_server(published.root, **options) as server:
        server.wait_ready()

        def run(*words: str) -> tuple[int, str]:
            done = CliRunner().invoke(root, [*words, "--data-dir", str(published.root)])
            return done.exit_code, done.output or str(done.exception)

        if given == "environment":
            code, said = run("generate", "x", "--max-tokens", "2")
            assert (code != 0, "UNAUTHENTICATED" in said) == (True, True)
            code, said = run("status", "--json")
            status = json.loads(said)
            assert status["serving"] is None
            assert "RIVERRUN_TOKEN" in status["serving_error"]
            monkeypatch.setenv("RIVERRUN_TOKEN", TOKEN)
        code, said = run("generate", "x", "--max-tokens", "2", "--json")
        assert code == 0, said
        assert json.loads(said)["completion_tokens"] <= 2
        code, said = run("status", "--json")
        status = json.loads(said)
        assert status["serving"]["state"] == "serving"
        (process,) = [one for one in status["processes"] if one["name"] == "serving"]
        assert process["http_address"] == server.http_address
        assert process["http_address"].startswith("https://127.0.0.1:")
        code, said = run("status")
        assert server.http_address.rsplit(":", 1)[-1] in said.replace("\n", "")
        assert TOKEN not in said
