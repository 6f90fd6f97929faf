"""Offers as an engineer writes them down (TOML), and how they come into the table."""

import tomllib
from dataclasses import fields
from pathlib import Path

from paidup.model.errors import Malformed
from paidup.model.offer import Offer
from paidup.outside.dynamo.table import Table
from pydantic import TypeAdapter, ValidationError

PATH = Path(__file__).with_name("offers.toml")


class BadOffers(Exception):
    """A file of offers that cannot be loaded; the message says where it is wrong."""


def read(path: Path = PATH) -> list[Offer]:
    """Return the offers in the file at *path*; raises BadOffers."""
    try:
        written = tomllib.loads(path.read_text())["offers"]
        offers = TypeAdapter(list[Offer]).validate_python(written)
    except FileNotFoundError:
        raise BadOffers(f"There is no file {path}.") from None
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise BadOffers(f"{path} is no list of [[offers]]: {error}") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise BadOffers(f"{path}: offer {where}: {wrong['msg']}") from None
    except Malformed as error:
        raise BadOffers(f"{path}: {error}") from None
    known = {field.name for field in fields(Offer)}
    if unknown := {name for offer in written for name in offer} - known:
        raise BadOffers(f"{path}: offers have no {', '.join(sorted(unknown))}.")
    return offers


def load(table: Table, offers: list[Offer]) -> None:
    """Put *offers* on sale, each in place of one of the same id."""
    for offer in offers:
        table.put_offer(offer)
