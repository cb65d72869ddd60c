"""A certificate authority for one run of the lab, and the files that each program wants of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rhp.lab.openvpn import Credentials
from rhp.pki import ca
from rhp.pki.ca import KeyType


class Authority:
    """A CA in `folder`; certificates live a few days and count from an hour ago, whatever the clocks say."""

    def __init__(self, folder: Path, name: str = "rhp lab", key_type: KeyType = "ecdsa-p256") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key_type = key_type
        self._issuer = ca.create_ca(name, _start(), key_type=key_type, days=3)
        self.certificate = folder / "ca.pem"
        self._issuer.write(self.certificate, folder / "ca.key")

    def issue(self, identity: str, subject: str | None = None) -> Credentials:
        """A certificate for `identity` (FQDN, mail address or IP address), of the CA's own key type.

        `subject` is a DN such as "O=example, CN=a", by default one of the identity.
        """
        made = ca.issue(self._issuer, [identity], _start(), key_type=self._key_type, days=2, subject=subject)
        paths = Credentials(self.certificate, self._folder / f"{identity}.pem", self._folder / f"{identity}.key")
        made.write(paths.cert, paths.key)
        return paths


def _start() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)
