"""An OpenID provider for one machine: discovery, keys that rotate, tokens for the asking, and sign-in by PKCE."""

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tools.fakes.identity.keys import ALGORITHMS, Keys
from tools.fakes.identity.page import sign_in_page
from tools.fakes.page import document
from tools.fakes.problems import Problem, json_object
from tools.fakes.store import new_id
from tools.fakes.world import World

AUDIENCE, CLIENT = "paidup", "paidup"
TOKEN_LIVES_S, CODE_LIVES_S = 12 * 3600, 60
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Max-Age": "600",
}
TOKEN_FIELDS = (
    "sub",
    "email",
    "email_verified",
    "roles",
    "expires_in",
    "alg",
    "audience",
    "not_before",
    "name",
    "nonce",
)


class Identity:
    """Answer requests to `/identity`."""

    def __init__(self, world: World) -> None:
        """Keep keys and codes in *world*."""
        self._world = world
        self._keys = Keys(world.store)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/identity/.well-known/openid-configuration", self.discovery, methods=["GET", "OPTIONS"]),
            Route("/identity/.well-known/jwks.json", self.jwks, methods=["GET", "OPTIONS"]),
            Route("/identity/token", self.token, methods=["POST", "OPTIONS"]),
            Route("/identity/authorize", self.authorize, methods=["GET"]),
            Route("/identity/authorize", self.sign_in, methods=["POST"]),
            Route("/identity/logout", self.logout, methods=["GET"]),
            Route("/identity/rotate", self.rotate, methods=["POST"]),
        ]

    async def discovery(self, request: Request) -> Response:
        """Return the provider's metadata."""
        self._check_up()
        issuer = self._issuer()
        body = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "end_session_endpoint": f"{issuer}/logout",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["openid", "profile", "email"],
            "claims_supported": ["iss", "aud", "sub", "email", "email_verified", "roles", "iat", "nbf", "exp", "nonce"],
        }
        return _json(request, body)

    async def jwks(self, request: Request) -> Response:
        """Return the public keys: the current ones, and the ones before that still verify."""
        self._check_up()
        return _json(request, {"keys": [self._keys.public(kid) for kid in self._keys.ids()]})

    async def rotate(self, request: Request) -> Response:
        """Sign with new keys from now on. `retire` takes the old ones out of the JWKS at once."""
        retire = bool((await json_object(request, "retire")).get("retire"))
        return JSONResponse({"keys": self._keys.rotate(retire=retire)})

    async def token(self, request: Request) -> Response:
        """Return a token: for the claims asked for as JSON, or for an authorization code or a refresh token."""
        self._check_up()
        if request.method == "OPTIONS":
            return _json(request, None)
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/x-www-form-urlencoded"):
            form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
            return self._redeem(request, form)
        return _json(request, self._issue(await json_object(request, *TOKEN_FIELDS)))

    async def authorize(self, request: Request) -> Response:
        """Show the sign-in page of an authorization request with PKCE."""
        fields = dict(request.query_params)
        _check_authorization(fields)
        return HTMLResponse(sign_in_page(fields))

    async def sign_in(self, request: Request) -> Response:
        """Send the browser back with a code for whom the form names."""
        form = parse_qs((await request.body()).decode(), keep_blank_values=True)
        fields = {name: values[-1] for name, values in form.items()}
        _check_authorization(fields)
        email = fields.get("email", "").strip()
        if "@" not in email:
            raise Problem("the e-mail address is missing")
        claims = {
            "sub": fields.get("sub") or "usr_" + sha256(email.lower().encode()).hexdigest()[:12],
            "email": email,
            "roles": form.get("roles", []),
        }
        code = new_id("code_", 32)
        grant = {name: fields.get(name) for name in ("redirect_uri", "code_challenge", "nonce")}
        expires = self._world.now() + CODE_LIVES_S
        self._world.store.note(code, "grant", grant | {"claims": claims, "expires": expires})
        answer = {"code": code, "iss": self._issuer()} | ({"state": fields["state"]} if "state" in fields else {})
        joint = "&" if "?" in fields["redirect_uri"] else "?"
        return RedirectResponse(fields["redirect_uri"] + joint + urlencode(answer), 303)

    async def logout(self, request: Request) -> Response:
        """Send the browser to `post_logout_redirect_uri`."""
        back = request.query_params.get("post_logout_redirect_uri")
        if back is None:
            return HTMLResponse(document("Signed out", "<h1>You are signed out</h1>"))
        _check_local(back, "post_logout_redirect_uri")
        return RedirectResponse(back, 303)

    def _issue(self, asked: dict[str, Any]) -> dict[str, Any]:
        _check_claims(asked)
        now, alg = self._world.now(), asked.get("alg", "RS256")
        lives = asked.get("expires_in", TOKEN_LIVES_S)
        claims = {
            "iss": self._issuer(),
            "aud": asked.get("audience", AUDIENCE),
            "sub": asked["sub"],
            "email": asked.get("email"),
            "roles": asked.get("roles", []),
            "iat": now,
            "nbf": now + asked.get("not_before", 0),
            "exp": now + lives,
            "jti": new_id("", 16),
        }
        claims |= {name: asked[name] for name in ("name", "nonce") if asked.get(name)}
        claims |= {"email_verified": asked.get("email_verified", True)} if asked.get("email") else {}
        kid, private = self._keys.current(alg)
        token = jwt.encode(claims, private, alg, {"kid": kid})
        names = ("token", "access_token", "id_token")
        return dict.fromkeys(names, token) | {"token_type": "Bearer", "expires_in": lives}

    def _redeem(self, request: Request, form: dict[str, str]) -> Response:
        if form.get("grant_type") == "refresh_token":
            return self._refresh(request, form)
        if form.get("grant_type") != "authorization_code":
            return _oauth_error(request, "unsupported_grant_type", "use authorization_code or refresh_token")
        code = form.get("code", "")
        grant = self._world.store.noted(code, "grant")
        if grant is None or grant["expires"] <= self._world.now():
            return _oauth_error(request, "invalid_grant", "the code is unknown, used or expired")
        self._world.store.db.execute("DELETE FROM notes WHERE id = ?", (code,))
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if challenge != grant["code_challenge"]:
            return _oauth_error(request, "invalid_grant", "code_verifier does not match code_challenge")
        if form.get("redirect_uri") != grant["redirect_uri"] or form.get("client_id") != CLIENT:
            return _oauth_error(request, "invalid_grant", "redirect_uri or client_id differs from the request")
        return self._signed_in(request, grant["claims"], nonce=grant["nonce"])

    def _refresh(self, request: Request, form: dict[str, str]) -> Response:
        """Answer the next tokens. A refresh token rotates: it is good once."""
        used = form.get("refresh_token", "")
        claims = self._world.store.noted(used, "claims")
        if claims is None or form.get("client_id") != CLIENT:
            return _oauth_error(request, "invalid_grant", "the refresh token is unknown or was used")
        self._world.store.db.execute("DELETE FROM notes WHERE id = ?", (used,))
        return self._signed_in(request, claims)

    def _signed_in(self, request: Request, claims: dict[str, Any], *, nonce: str | None = None) -> Response:
        refresh_token = new_id("refresh_", 32)
        self._world.store.note(refresh_token, "claims", claims)
        return _json(request, self._issue(claims | {"nonce": nonce}) | {"refresh_token": refresh_token})

    def _issuer(self) -> str:
        return f"{self._world.base}/identity"

    def _check_up(self) -> None:
        faults = self._world.faults
        if faults.provider == "identity" and faults.strikes("identity", faults.error_rate):
            raise Problem("the identity provider was told to fail", 500)


def _check_claims(asked: dict[str, Any]) -> None:
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        "sub": (lambda v: isinstance(v, str) and v != "", "a string that is not empty"),
        "email": (lambda v: v is None or isinstance(v, str), "a string"),
        "email_verified": (lambda v: isinstance(v, bool), "true or false"),
        "roles": (lambda v: isinstance(v, list) and all(isinstance(r, str) for r in v), "a list of strings"),
        "expires_in": (lambda v: isinstance(v, int), "whole seconds from now; negative: expired already"),
        "not_before": (lambda v: isinstance(v, int), "whole seconds from now"),
        "audience": (lambda v: isinstance(v, str | list), "a string or a list of strings"),
        "alg": (lambda v: v in ALGORITHMS, f"one of {', '.join(ALGORITHMS)}"),
    }
    if "sub" not in asked:
        raise Problem("sub is missing")
    for name, (good, rule) in rules.items():
        if name in asked and not good(asked[name]):
            raise Problem(f"{name} must be {rule}")


def _check_authorization(fields: dict[str, str]) -> None:
    _check_local(fields.get("redirect_uri", ""), "redirect_uri")
    wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
    for name, value in wanted.items():
        if fields.get(name) != value:
            raise Problem(f"{name} must be {value}")
    if not fields.get("code_challenge"):
        raise Problem("code_challenge is missing: PKCE is required")


def _check_local(url: str, name: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname not in LOCAL_HOSTS:
        raise Problem(f"{name} must lead to {' or '.join(LOCAL_HOSTS)}")


def _json(request: Request, body: Any, status: int = 200) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=CORS)
    headers = CORS | {"Cache-Control": "no-store"}
    return Response(json.dumps(body), status, headers, "application/json")


def _oauth_error(request: Request, error: str, description: str) -> Response:
    return _json(request, {"error": error, "error_description": description}, 400)
