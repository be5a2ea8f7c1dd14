"""A certificate authority for tests, and files of what it signs."""

import os
import ssl
from pathlib import Path

import trustme


class Authority:
    """Writes PEM files into `directory`."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(self, name: str, *identities: str) -> tuple[Path, Path, int]:
        """Certificate, key and serial number; files of that name are replaced whole."""
        issued = self._ca.issue_cert(*(identities or ("127.0.0.1", "localhost")))
        cert, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        for path, data in ((key, issued.private_key_pem.bytes()), (cert, chain)):
            beside = path.with_suffix(".new")
            beside.write_bytes(data)
            os.replace(beside, path)  # noqa: PTH105
        return cert, key, serial_of(chain)

    def client_context(self, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if pair is not None:
            context.load_cert_chain(*pair)
        return context


def serial_of(chain: bytes) -> int:
    from cryptography import x509

    return x509.load_pem_x509_certificate(chain).serial_number
