"""Kafka's jars in the cache: whole, pinned, downloaded once."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from riverrun.broker.jars import jar_path, kafka_jars, missing_jars
from riverrun.broker.pinned_jars import JARS, KAFKA, LOGGING
from riverrun.cache_dir import cache_dir
from riverrun.errors import BrokerError

SMALLEST = "org.jspecify:jspecify:1.0.0"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def copied_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kafka_jars()
    for coordinate in JARS:
        copy = tmp_path / jar_path(coordinate).relative_to(cache_dir())
        copy.parent.mkdir(parents=True)
        shutil.copyfile(jar_path(coordinate), copy)
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path))
    return tmp_path


def test_without_network_and_cache_it_is_said_what_is_needed_and_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path))
    with pytest.raises(BrokerError) as error:
        kafka_jars()
    message = str(error.value)
    assert f"{KAFKA} from Maven Central" in message
    assert f"0 of its {len(JARS)} jars are in {tmp_path / 'maven'}" in message
    assert "--bootstrap-servers" in message


def test_a_full_cache_needs_no_network(copied_cache: Path, no_network: None) -> None:
    jars = kafka_jars()
    assert len(jars) == len(JARS)
    assert all(jar.is_relative_to(copied_cache) for jar in jars)
    assert missing_jars() == []


def test_a_torn_jar_is_missing_and_comes_again(
    copied_cache: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = jar_path(SMALLEST).read_bytes()
    jar_path(SMALLEST).write_bytes(whole[:-1])
    assert missing_jars() == [SMALLEST]

    def download(artifact: object) -> None:
        assert not jar_path(SMALLEST).exists(), "jgo refuses to write over a file"
        jar_path(SMALLEST).write_bytes(whole)

    monkeypatch.setattr("jgo.maven.Artifact.resolve", download)
    kafka_jars()
    assert jar_path(SMALLEST).read_bytes() == whole


def test_what_comes_with_another_hash_is_refused(
    copied_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar_path(SMALLEST).unlink()
    monkeypatch.setattr(
        "jgo.maven.Artifact.resolve", lambda _: jar_path(SMALLEST).write_bytes(b"else")
    )
    with pytest.raises(BrokerError, match=f"{SMALLEST} did not come .* with the SHA-256"):
        kafka_jars()


def test_the_pinned_jars_are_those_that_maven_resolves() -> None:
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    maven = MavenContext(repo_cache=cache_dir() / "maven")
    kafka = dataclasses.replace(Coordinate.parse(KAFKA), scope="compile")
    try:
        inputs, transitive = maven.resolver.resolve([maven.create_dependency(kafka)])
    except OSError as error:
        pytest.skip(f"Maven Central is not reached: {error}")
    needed = [*inputs, *(d for d in transitive if d.scope in ("compile", "runtime"))]
    resolved = [f"{d.groupId}:{d.artifactId}:{d.version}" for d in needed]
    assert [*resolved, LOGGING] == list(JARS)
