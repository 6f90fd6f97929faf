"""What a gate in the mode `claims` costs, beside the least of it, one Ed25519 signature checked: `make bench`."""

import base64
import json
import time
from collections.abc import Callable
from statistics import median, quantiles

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paidup.edge.gate import Gate
from paidup_gate.jwks import KeySet
from paidup_gate.tokens import read_keys

from tools.serving import Silent, serving

ADMISSIONS = 5_000
MOST_MS = 1.0
NOW = 1_795_251_600
GRANTS = 20


def main() -> None:
    """Let one customer in again and again, print processor time, and fail if the median is over a millisecond."""
    key = Ed25519PrivateKey.generate()
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    document = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": public}]}).encode()
    grant = {"kind": "pass", "status": "active", "quantity": 1, "until": NOW + 900}
    access = [{"offer_id": f"offer_{n}", **grant} for n in range(GRANTS)]
    said = {"iss": "https://api.example", "aud": "paidup", "sub": "ada", "iat": NOW, "exp": NOW + 900}
    token = jwt.encode({**said, "billing": {"version": 3, "access": access}}, key, "EdDSA", headers={"kid": "k1"})

    class Keys(Silent):
        def do_GET(self) -> None:
            self.answer(200, document)

    with serving(Keys) as url:
        gate = Gate(KeySet(url, read_keys), issuer="https://api.example", audience="paidup", table=None, mode="claims")
        admitted = _measured(lambda: gate.admit(f"Bearer {token}", "offer_7", now=NOW + 1))
    signature, message = key.sign(document), document
    checked = _measured(lambda: key.public_key().verify(signature, message))
    print(f"{'processor, ms, warm':52}{'times':>8}{'p50':>9}{'p99':>9}")
    for name, figures in (
        ("floor: one signature checked", checked),
        (f"a token with {GRANTS} offers let in", admitted),
    ):
        print(f"{name:52}{len(figures):>8,}{median(figures):>9.3f}{quantiles(figures, n=100)[-1]:>9.3f}")
    if median(admitted) > MOST_MS:
        raise SystemExit(f"A token is let in within {median(admitted):.2f} ms, not {MOST_MS:g}.")


def _measured(act: Callable[[], object]) -> list[float]:
    """Return the processor time of each of many calls of *act*, in ms. The first ones are left out."""
    figures = []
    for n in range(ADMISSIONS + 100):
        began = time.thread_time()
        act()
        if n >= 100:
            figures.append((time.thread_time() - began) * 1000)
    return figures


if __name__ == "__main__":
    main()
