"""The version store: published weights, each beside the manifest that says what they are.

    model/               config.json, tokenizer.json, … : what weights need to speak (written once)
    origin/SHA256        the untouched model's weights, for versions that defer to them
    versions/ID/         weights.safetensors, manifest.json, PINNED (while it must not go)
    PROMOTED             the id that serving uses

`manifest.py` says what a version is, `versions.py` writes and reads them, `retention.py` drops the
weights of old ones; `whole_files.py` is why no reader sees half of anything, on a disk or on an
object store. Written by the learner; read by serving and the command line.
"""

from riverrun.store.manifest import Consequence, Deferral, Manifest, version_id
from riverrun.store.versions import VersionStore, store_of

__all__ = ["Consequence", "Deferral", "Manifest", "VersionStore", "store_of", "version_id"]
