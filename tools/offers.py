"""Offers as an engineer writes them down (TOML), and how they come into the table."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from paidup.model.errors import Malformed
from paidup.model.offer import CatalogPrice, Offer
from paidup.outside.dynamo.table import Table
from pydantic import TypeAdapter, ValidationError

PATH = Path(__file__).with_name("offers.toml")
WRITTEN = {field.name for field in fields(Offer)} - {"catalog_amount"}
OFFER = TypeAdapter(Offer)


class BadOffers(Exception):
    """A file of offers that cannot be loaded. The message says where it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a field of an offer: a clause that follows the field's name."""

    offer_id: str
    field: str
    why: str


def read(path: Path = PATH) -> list[Offer]:
    """Return the offers in the file at *path*. Raises BadOffers."""
    found, faults = examine(path)
    if faults:
        first = faults[0]
        raise BadOffers(f"{path}: offer {first.offer_id}: {first.field}: {first.why}.")
    return found


def examine(path: Path) -> tuple[list[Offer], list[Fault]]:
    """Return the offers in the file at *path* that can be sold, and what is wrong with the others.

    Raises BadOffers if the file is no list of offers.
    """
    try:
        written = tomllib.loads(path.read_text())["offers"]
    except FileNotFoundError:
        raise BadOffers(f"There is no file {path}.") from None
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise BadOffers(f"{path} is no list of [[offers]]: {error}") from None
    if not isinstance(written, list) or not all(isinstance(one, dict) for one in written):
        raise BadOffers(f"{path} is no list of [[offers]].")
    found: dict[str, Offer] = {}
    faults: list[Fault] = []
    for number, one in enumerate(written, start=1):
        name = str(one.get("offer_id", f"number {number}"))
        offer = _read_one(one, name)
        if isinstance(offer, Fault):
            faults.append(offer)
        elif offer.offer_id in found:
            faults.append(Fault(offer_id=name, field="offer_id", why="is there twice"))
        else:
            found[offer.offer_id] = offer
    return list(found.values()), faults


def _read_one(written: Mapping[str, Any], name: str) -> Offer | Fault:
    if unknown := sorted(written.keys() - WRITTEN):
        return Fault(offer_id=name, field=unknown[0], why="is no field of an offer")
    try:
        return OFFER.validate_python(written)
    except ValidationError as error:
        wrong = error.errors()[0]
        where, message = ".".join(str(part) for part in wrong["loc"]), wrong["msg"]
        return Fault(offer_id=name, field=where, why=message[:1].lower() + message[1:])
    except Malformed as error:
        return Fault(offer_id=name, field=error.field, why=error.why)


def with_amounts(offers: Sequence[Offer], price_of: Callable[[Offer, str], CatalogPrice]) -> list[Offer]:
    """Return *offers* with what the catalogue's prices come to today, so that lists can show them.

    Raises BadOffers if a price is not as its offer says, and what *price_of* raises.
    """
    return [replace(one, catalog_amount=_amount(one, price_of)) if one.price else one for one in offers]


def _amount(offer: Offer, price_of: Callable[[Offer, str], CatalogPrice]) -> int:
    listed = price_of(offer, offer.price or "")
    if differences := offer.differences(listed):
        raise BadOffers(f"Offer {offer.offer_id}: {differences[0]}.")
    return listed.amount


def load(table: Table, offers: Sequence[Offer]) -> None:
    """Put *offers* on sale, each in place of one of the same id."""
    for offer in offers:
        table.put_offer(offer)
