"""Pages: a folder of pages and assets as a website. It alone knows the frame, the versions and what a browser may keep.

A page is a file of `name: value` lines (`path`, `title`, `description`, and `main`, the classes of its main element),
an empty line, and the content that the frame (frame.html) takes in. Its script has its name: shop.html runs shop.js.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import Response

from paidup.edge import settings
from paidup.model.errors import NotFound

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE, FRAME = ".html", "frame.html"
ASK_EACH_TIME = "no-cache"
KEEP = "public, max-age=31536000, immutable"
WORD = re.compile(r"\{\{(\w+)\}\}")
IMPORTED = re.compile(r'\bfrom "\./([\w.]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Pages by path and assets by name, as they are sent. `version` names this very set of assets."""

    pages: Mapping[str, str]
    assets: Mapping[str, str]
    version: str

    def page(self, path: str, *, known: str) -> Response[str]:
        """Return the page at *path*, or that it is one of the *known* ones (If-None-Match)."""
        return _sent(self.pages[path], "text/html", ASK_EACH_TIME, known)

    def asset(self, name: str, *, version: str | None = None, known: str) -> Response[str]:
        """Return an asset: one of this *version* never changes, any other is as it is now. Raises NotFound."""
        text = self.assets.get(name)
        if text is None:
            raise NotFound("file", name)
        return _sent(text, TYPES[Path(name).suffix], KEEP if version == self.version else ASK_EACH_TIME, known)


@cache
def site(*folders: Path) -> Site:
    """Return the site in *folders*, its pages in their frame and told where people sign in and hear of changes.

    No name may be in two of them.
    """
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files if path.suffix in (PAGE, *TYPES)}
    assets = {name: text for name, text in texts.items() if Path(name).suffix in TYPES}
    version = sha256("".join(assets.values()).encode()).hexdigest()[:12]
    pages = {}
    for name in (name for name in texts if name.endswith(PAGE) and name != FRAME):
        head, _, content = texts[name].partition("\n\n")
        own = dict(line.split(": ", 1) for line in head.splitlines())
        script = f"{Path(name).stem}.js"
        words = own | {
            "assets": f"/assets/{version}",
            "issuer": settings.text("PAIDUP_IDENTITY_ISSUER"),
            "client": settings.text("PAIDUP_IDENTITY_AUDIENCE"),
            "realtime": settings.optional("PAIDUP_REALTIME_URL"),
            "script": script,
        }
        markup = {word: html.escape(value) for word, value in words.items()}
        markup |= {"content": content.strip(), "preloads": _preloads(script, version, assets)}
        pages[own["path"]] = _framed(texts[FRAME], own["path"], markup)
    return Site(pages=pages, assets=assets, version=version)


def _framed(frame: str, path: str, markup: Mapping[str, str]) -> str:
    """Return *frame* with its gaps filled, and the link to the page at *path* marked as where the visitor is."""
    here = frame.replace(f'<a href="{path}"', f'<a href="{path}" aria-current="page"')
    return WORD.sub(lambda gap: markup[gap[1]], here)


def _preloads(script: str, version: str, assets: Mapping[str, str]) -> str:
    """Return the links by which a browser gets at once all that *script* imports, and that those import."""
    found = [script]
    for name in found:
        found += [one for one in IMPORTED.findall(assets[name]) if one not in found]
    links = (f'<link rel="modulepreload" href="/assets/{version}/{name}">' for name in found[1:])
    return "\n  ".join(links)


def _sent(text: str, kind: str, cache_control: str, known: str) -> Response[str]:
    etag = f'"{sha256(text.encode()).hexdigest()[:20]}"'
    unchanged = etag in known
    return Response(
        status_code=HTTPStatus.NOT_MODIFIED if unchanged else HTTPStatus.OK,
        content_type=f"{kind}; charset=utf-8",
        body="" if unchanged else text,
        headers={**guards(), "Cache-Control": cache_control, "ETag": etag},
    )


@cache
def guards() -> dict[str, str]:
    """Return the headers that keep a page to our own scripts, to the identity provider's answers and to our WebSocket.

    Cognito's issuer is another host than the one that answers for it; PAIDUP_IDENTITY_ORIGINS names such hosts.
    """
    issuer = urlsplit(settings.text("PAIDUP_IDENTITY_ISSUER"))
    others = settings.optional("PAIDUP_IDENTITY_ORIGINS").replace(",", " ").split()
    socket = urlsplit(settings.optional("PAIDUP_REALTIME_URL"))
    sockets = [f"{socket.scheme}://{socket.netloc}"] if socket.netloc else []
    reached = " ".join(["'self'", f"{issuer.scheme}://{issuer.netloc}", *others, *sockets])
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {reached}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }
