"""The keys that tokens are signed with: one for each algorithm, and the ones before them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tools.fakes.store import Store, new_id


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How keys of one signing algorithm are made and shown."""

    make: Callable[[], Any]
    to_jwk: Callable[[Any], dict[str, Any]]


ALGORITHMS = {
    "RS256": Algorithm(lambda: rsa.generate_private_key(65537, 2048), lambda k: RSAAlgorithm.to_jwk(k, as_dict=True)),
    "ES256": Algorithm(lambda: ec.generate_private_key(ec.SECP256R1()), lambda k: ECAlgorithm.to_jwk(k, as_dict=True)),
    "EdDSA": Algorithm(ed25519.Ed25519PrivateKey.generate, lambda k: OKPAlgorithm.to_jwk(k, as_dict=True)),
}


class Keys:
    """The provider's keys, kept in a store, the current ones first."""

    def __init__(self, store: Store) -> None:
        """Keep the keys in *store*."""
        self._store = store

    def ids(self) -> list[str]:
        """Return the ids of the keys that still verify, the current ones first."""
        kids: list[str] | None = self._store.noted("identity", "kids")
        return kids if kids is not None else self.rotate(retire=True)

    def rotate(self, *, retire: bool) -> list[str]:
        """Make new keys the current ones. *retire* forgets the old ones at once. Return the ids that verify."""
        kept = [] if retire else self.ids()[: len(ALGORITHMS)]
        kids = [self._make(alg) for alg in ALGORITHMS] + kept
        self._store.note("identity", "kids", kids)
        return kids

    def current(self, alg: str) -> tuple[str, Any]:
        """Return the id of the key that signs by *alg*, and the private key."""
        kid = next(kid for kid in self.ids() if kid.startswith(alg.lower()))
        return kid, self._private(kid)

    def public(self, kid: str) -> dict[str, Any]:
        """Return the public key called *kid* as a JWK."""
        alg = next(name for name in ALGORITHMS if kid.startswith(name.lower()))
        jwk = ALGORITHMS[alg].to_jwk(self._private(kid).public_key())
        return {k: v for k, v in jwk.items() if k != "key_ops"} | {"kid": kid, "alg": alg, "use": "sig"}

    def _make(self, alg: str) -> str:
        kid = new_id(f"{alg.lower()}-", 8)
        private = ALGORITHMS[alg].make()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._store.note(kid, "pem", pem.decode())
        return kid

    def _private(self, kid: str) -> Any:
        return load_pem_private_key(self._store.noted(kid, "pem").encode(), None)
