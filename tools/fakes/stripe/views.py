"""How an answer is shown: pages of lists, and ids expanded into the objects they name."""

from collections.abc import Callable
from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe import sdk
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

MAX_DEPTH = 4
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
INCLUDABLE: dict[tuple[str, str], Callable[[World, Obj], Obj]] = {}
"""Fields that are there only when asked for, by (object, field), and how to make them."""


def listed(data: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """Return *data* as Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def retrieve(kind: str) -> Callable[[World, dict[str, Any], str], Obj]:
    """Return an operation that answers with the object of *kind* that the path names."""
    return lambda world, _, id_: world.named(id_, kind)


def page(
    world: World,
    kind: str,
    params: dict[str, Any],
    url: str,
    *,
    also: tuple[Any, ...] = ("1",),
    equal: dict[str, Any] | None = None,
) -> Obj:
    """Return one page of the objects of *kind*, newest first.

    *equal* are fields that must equal a value (`a__b` for a.b; None leaves one out). *also* is more SQL, followed
    by its values.
    """
    limit = limit_of(params)
    where, args = ["json_extract(body, '$.deleted') IS NULL", also[0]], list[Any](also[1:])
    for name, value in (equal or {}).items():
        if value is not None:
            where.append(f"json_extract(body, '$.{name.replace('__', '.')}') = ?")
            args.append(value)
    created = params.get("created")
    span = {"eq": created} if isinstance(created, int) else created or {}
    for name, second in span.items():
        where.append(f"created {COMPARISONS.get(name, '=')} ?")
        args.append(second)
    backwards = "ending_before" in params
    for name, sign in (("starting_after", "<"), ("ending_before", ">")):
        if cursor := params.get(name):
            world.named(cursor, kind, name, deleted=True)
            where.append(f"seq {sign} ?")
            args.append(world.store.seq(cursor))
    tail = f"ORDER BY seq {'ASC' if backwards else 'DESC'} LIMIT {limit + 1}"
    found = world.store.find(kind, " AND ".join(where), tuple(args), tail)
    shown = found[:limit]
    return listed(shown[::-1] if backwards else shown, url, has_more=len(found) > limit)


def limit_of(params: dict[str, Any]) -> int:
    """Return how many objects the page asked for holds. Raises Refusal for a page that Stripe does not give."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        small = "Invalid limit: must be between 1 and 100"
        raise Refusal(small, code="parameter_invalid_integer", param="limit")
    if "starting_after" in params and "ending_before" in params:
        raise Refusal("Received both starting_after and ending_before parameters. Please pass in only one.")
    return int(limit)


def expand(world: World, obj: Obj, paths: list[str]) -> Obj:
    """Return *obj* with the ids at *paths* replaced by the objects that they name."""
    for index, path in enumerate(paths):
        steps = path.split(".")
        depth = len(steps) - (steps[0] == "data")
        if depth > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property ({path})."
            raise Refusal(message, param=f"expand[{index}]")
        _expand(world, obj, steps, f"This property cannot be expanded ({path}).", f"expand[{index}]")
    return obj


def _expand(world: World, obj: Obj, steps: list[str], message: str, param: str) -> None:
    name, *rest = steps
    kind = obj.get("object", "")
    if obj.get(name) is None:
        if include := INCLUDABLE.get((kind, name)):
            obj[name] = include(world, obj)
        elif name in (sdk.fields_of(kind) if kind else obj):
            return
        else:
            raise Refusal(message, param=param)
    value = obj[name]
    if isinstance(value, str):
        found = world.store.get(value)
        if found is None:
            raise Refusal(message, param=param)
        value = obj[name] = found
    for inner in value if isinstance(value, list) else [value]:
        if rest and isinstance(inner, dict):
            _expand(world, inner, rest, message, param)
        elif not isinstance(inner, dict):
            raise Refusal(message, param=param)
