"""What a command comes to: with all choices made that it left open, or refused.

They are made before anything is done, so that a crash in between repeats the same. Changes nothing.
Called by `control.py`.
"""

import msgspec

from learner.quarantine import Quarantine
from learner.undo.plan import wanted_of
from riverrun.commands import Command
from riverrun.errors import InvalidValue, UnknownVersion
from riverrun.records import LeftOut
from riverrun.store import VersionStore


class Choices:
    """See the module. num_partitions: of the raw topic."""

    def __init__(self, store: VersionStore, quarantine: Quarantine, num_partitions: int) -> None:
        self._store = store
        self._quarantine = quarantine
        self._partitions = list(range(num_partitions))

    def make(self, command: Command) -> Command:
        """The command with all choices made. Raises RiverrunError for one that is refused."""
        match command.kind:
            case "promote":
                if not command.version:
                    raise InvalidValue("version", command.version, "the id of a version")
                self._require_weights(command.version)
            case "roll_back":
                version = command.version or self._before_the_served()
                self._require_weights(version)
                return msgspec.structs.replace(command, version=version)
            case "release_source" | "quarantine_source":
                if not command.source:
                    raise InvalidValue("source", command.source, "the name of a source")
                if command.kind == "release_source" and command.source not in self._quarantine:
                    kept = sorted(self._quarantine.sources())
                    raise InvalidValue(
                        "source", command.source, f"a source in quarantine ({kept or 'none is'})"
                    )
            case "undo":
                self.wanted(command)
            case _:
                pass
        return command

    def wanted(self, command: Command) -> list[LeftOut]:
        """What an undo is to leave out. Raises InvalidValue, UnknownVersion."""
        return wanted_of(
            self._store,
            self._partitions,
            ranges=[
                LeftOut(partition=r.partition, first=r.first, last=r.last) for r in command.ranges
            ],
            source=command.source,
            version=command.version,
        )

    def _require_weights(self, version: str) -> None:
        self._store.manifest(version)
        if not self._store.has_weights(version):
            raise UnknownVersion(f"the weights of {version} are gone (store.keep_versions)")

    def _before_the_served(self) -> str:
        """The newest ancestor of the served version that has weights."""
        served = self._store.promoted()
        parent = None if served is None else self._store.manifest(served).parent
        while parent is not None:
            if self._store.has_weights(parent):
                return parent
            parent = self._store.manifest(parent).parent
        raise UnknownVersion(f"no version before {served} has weights still")
