"""The storefront: the shop's pages and their assets, what is for sale, and the description of the whole API."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from paidup.edge import pages, settings
from paidup.edge.api import api, json_response
from paidup.edge.http import lambda_handler
from paidup.edge.refusals import refusals
from paidup.edge.services import open_services
from paidup.model.money import digits_of
from paidup.model.offer import Offer
from pydantic import BaseModel

SITE, CLIENT = Path(__file__).with_name("site"), Path(__file__).with_name("client")
DESCRIPTION = Path(__file__).with_name("openapi.json")
PUBLIC = (
    *("GET /", "GET /success", "GET /cancel", "GET /account", "GET /members-area", "GET /sessions", "GET /desk"),
    *("GET /assets/{proxy+}", "GET /offers", "GET /openapi.json"),
)

settings.require("PAIDUP_TABLE", "PAIDUP_IDENTITY_ISSUER", "PAIDUP_IDENTITY_AUDIENCE")
app = api()


class OfferView(BaseModel):
    """Something on sale: `amount` in minor units of `currency` (lower-case ISO 4217), which has `digits`.

    Without `amount`, the provider's page shows the price. It renews every `interval_count` intervals.
    """

    offer_id: str
    name: str
    kind: str
    amount: int | None = None
    currency: str
    digits: int
    description: str
    interval: str | None = None
    interval_count: int
    valid_days: int | None = None
    trial_days: int | None = None
    uses: int | None = None
    max_quantity: int
    adjustable_quantity: bool
    promotion_codes: bool
    group: str | None = None
    allow_several: bool
    providers: list[str]

    @classmethod
    def of(cls, offer: Offer, providers: Sequence[str]) -> "OfferView":
        """Return the view of *offer* in a shop that has *providers*."""
        worked_out = {
            "amount": offer.shown_amount,
            "digits": digits_of(offer.currency),
            "max_quantity": offer.most_at_once,
            "group": offer.effective_group,
            "providers": list(offer.providers or providers),
        }
        return cls.model_validate({**asdict(offer), **worked_out})


class Offers(BaseModel):
    """Everything on sale."""

    offers: list[OfferView]


@app.get("/", include_in_schema=False)
@app.get("/success", include_in_schema=False)
@app.get("/cancel", include_in_schema=False)
@app.get("/account", include_in_schema=False)
@app.get("/members-area", include_in_schema=False)
@app.get("/sessions", include_in_schema=False)
@app.get("/desk", include_in_schema=False)
def page() -> Response[str]:
    """Return a page: the shop, where buyers come back to, what they have, what members see, or who gives sessions."""
    return pages.site(SITE, CLIENT).page(app.current_event.path, known=known())


@app.get("/assets/<name>", include_in_schema=False)
def asset(name: str) -> Response[str]:
    """Return an asset as it is now."""
    return pages.site(SITE, CLIENT).asset(name, known=known())


@app.get("/assets/<version>/<name>", include_in_schema=False)
def asset_for_good(version: str, name: str) -> Response[str]:
    """Return an asset of one version, which never changes; of another version than ours, as it is now."""
    return pages.site(SITE, CLIENT).asset(name, version=version, known=known())


def known() -> str:
    """Return the tags of what the caller has already."""
    return app.current_event.headers.get("if-none-match") or ""


@app.get("/offers", responses=refusals(public=True))
def offers() -> Response[Offers]:
    """List everything on sale."""
    services = open_services()
    return json_response(Offers(offers=[OfferView.of(one, services.providers) for one in services.table.offers()]))


@app.get("/openapi.json", responses=refusals(public=True))
def openapi() -> Response[dict[str, Any]]:
    """Describe the whole API (OpenAPI 3.1)."""
    return json_response(json.loads(DESCRIPTION.read_text(encoding="utf-8")))


handler = lambda_handler(app, public=PUBLIC)
