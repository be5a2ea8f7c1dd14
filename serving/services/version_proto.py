"""A version's manifest as the proto that names it in every reply.

Called by the services.
"""

from riverrun.store import Manifest
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
