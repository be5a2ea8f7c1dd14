"""Kafka's jars: from Maven Central into the cache once, each held against its SHA-256.

Knows nothing of Java or of running Kafka. Called by `kafka_process.py` before every start, and by
`riverrun doctor`.
"""

import fcntl
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from riverrun.broker.pinned_jars import JARS, KAFKA
from riverrun.cache_dir import cache_dir
from riverrun.errors import BrokerError

NUM_DOWNLOADS = 6
"""At once: 46 jars (45 MB) then take 8 s, and 14 s one by one."""

log = logging.getLogger(__name__)


def kafka_jars() -> list[Path]:
    """The jars that Kafka runs from; those that are not in the cache are downloaded.

    Raises BrokerError when one is missing and cannot be had.
    """
    missing = missing_jars()
    if missing:
        _download(missing)
    return [jar_path(coordinate) for coordinate in JARS]


def missing_jars() -> list[str]:
    """Maven coordinates of the jars that the cache does not hold whole."""
    return [coordinate for coordinate in JARS if not _is_whole(coordinate)]


def jar_path(coordinate: str) -> Path:
    """Where a jar of the list lies in the cache (a Maven repository's layout)."""
    group, artifact, version = coordinate.split(":")
    folder = _repository().joinpath(*group.split("."), artifact, version)
    return folder / f"{artifact}-{version}.jar"


def _repository() -> Path:
    return cache_dir() / "maven"


def _is_whole(coordinate: str) -> bool:
    try:
        with jar_path(coordinate).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == JARS[coordinate]
    except FileNotFoundError:
        return False


def _download(missing: list[str]) -> None:
    _repository().mkdir(parents=True, exist_ok=True)
    # jgo writes straight to a jar's final name, so one process at a time may write, and what a
    # killed one left torn is removed by the next.
    with (_repository() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [coordinate for coordinate in missing if not _is_whole(coordinate)]
        if not missing:
            return
        log.info("downloading %d of Kafka's %d jars, once", len(missing), len(JARS))
        with ThreadPoolExecutor(NUM_DOWNLOADS) as pool:
            try:
                list(pool.map(_download_one, missing))
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                pool.shutdown(cancel_futures=True)
                raise _unreachable(error) from error
    damaged = missing_jars()
    if damaged:
        raise BrokerError(
            f"{', '.join(damaged)} did not come from Maven Central with the SHA-256 that riverrun "
            f"expects ({jar_path(damaged[0])}). Try again; a mirror may serve something else."
        )


def _download_one(coordinate: str) -> None:
    from jgo.maven import MavenContext

    jar_path(coordinate).unlink(missing_ok=True)
    group, artifact, version = coordinate.split(":")
    maven = MavenContext(repo_cache=_repository())
    maven.project(group, artifact).at_version(version).artifact().resolve()


def _unreachable(error: Exception) -> BrokerError:
    missing = missing_jars()
    cause = str(error).splitlines()[0][:200]
    return BrokerError(
        f"the embedded broker needs {KAFKA} from Maven Central, once: {len(JARS) - len(missing)} "
        f"of its {len(JARS)} jars are in {_repository()}, and {len(missing)} could not be "
        f"downloaded ({cause}). Connect this machine to the network for the first start, copy "
        f"that directory from a machine that has it, or use another Kafka "
        f"(--bootstrap-servers HOST:PORT)."
    )
