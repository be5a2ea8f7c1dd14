"""A version's manifest as the proto that names it in every reply.

Called by the services.
"""

from riverrun.store import Manifest, VersionStore
from riverrun.v1 import version_pb2 as pb


def version_proto(manifest: Manifest) -> pb.Version:
    return pb.Version(
        id=manifest.version,
        parent_id=manifest.parent or "",
        step=manifest.step,
        created_ms=manifest.created_ms,
        next_offsets=manifest.offsets,
        documents=manifest.num_documents,
        metrics=manifest.metrics,
    )


def stored_proto(
    manifest: Manifest, store: VersionStore, promoted: str | None, live: str | None
) -> pb.StoredVersion:
    """A version as the store keeps it. Reads the store, so it blocks."""
    return pb.StoredVersion(
        version=version_proto(manifest),
        promoted=manifest.version == promoted,
        has_weights=store.has_weights(manifest.version),
        live=manifest.version == live,
        tokens=manifest.num_tokens,
        bytes=manifest.num_bytes,
        sha256=manifest.sha256,
        decision=manifest.decision,
        reason=manifest.reason,
    )
