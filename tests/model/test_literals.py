"""Slugs and tags are literals: clients compare them or the table stores them, and class names may change."""

import importlib
import pkgutil
from collections import Counter
from typing import get_args

import paidup
from paidup.model.errors import IdempotencyKeySpent, ObjectMissing, RateLimited, Refusal
from paidup.model.fact import Value
from paidup.outside.stripe.client import Unreadable


def every_refusal() -> list[type[Refusal]]:
    for module in pkgutil.walk_packages(paidup.__path__, "paidup."):
        importlib.import_module(module.name)
    found = [Refusal]
    for one in found:
        found += one.__subclasses__()
    return found


def test_every_refusal_has_a_slug_of_its_own() -> None:
    seen_as_their_base = {
        IdempotencyKeySpent,
        ObjectMissing,
        RateLimited,
        Unreadable,
    }  # only the flows tell these apart, clients do not

    refusals = [one for one in every_refusal() if one not in seen_as_their_base]

    assert [one for one in refusals if "slug" not in vars(one)] == []
    assert [slug for slug, times in Counter(one.slug for one in refusals).items() if times > 1] == []


def test_every_value_of_a_register_has_a_tag_of_its_own() -> None:
    assert [one.tag for one in get_args(Value)] == ["payment", "subscription", "invoice", "refund", "dispute"]
