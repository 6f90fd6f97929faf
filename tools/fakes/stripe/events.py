"""Events and the webhook endpoints that want them."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from tools.fakes.store import Obj, new_id
from tools.fakes.stripe import views
from tools.fakes.stripe.objects import made
from tools.fakes.stripe.operation import Operation, merged_metadata
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

KEPT_S = int(timedelta(days=30).total_seconds())
MAX_TYPES = 20
UNDELIVERED = "EXISTS (SELECT 1 FROM deliveries WHERE event = objects.id AND status != 'succeeded')"


def shown(world: World, event: Obj) -> Obj:
    """Return *event* with the number of endpoints that have not taken it yet."""
    row = world.store.db.execute(
        "SELECT count(*) AS n FROM deliveries WHERE event = ? AND status != 'succeeded'", (event["id"],)
    ).fetchone()
    return event | {"pending_webhooks": row["n"]}


def register(world: World, webhooks: dict[str, str]) -> None:
    """Let the endpoints given at the start (URL to secret) be exactly *webhooks*, with all events."""
    ids = {"we_1Local" + sha256(url.encode()).hexdigest()[:15]: url for url in webhooks}
    for endpoint in world.store.find("webhook_endpoint", "id LIKE 'we_1Local%'"):
        if endpoint["id"] not in ids:
            world.store.db.execute("DELETE FROM objects WHERE id = ?", (endpoint["id"],))
    for id_, url in ids.items():
        if world.store.get(id_) is None:
            world.store.put(_endpoint(world, id_, url, {"enabled_events": ["*"]}))
        world.store.note(id_, "secret", webhooks[url])


def list_events(world: World, params: dict[str, Any]) -> Obj:
    """Return the events of the last 30 days, newest first."""
    types = params.get("types", [])
    if types and "type" in params:
        raise Refusal("You may only specify one of these parameters: type, types.", param="types")
    if len(types) > MAX_TYPES:
        raise Refusal(f"You can pass up to {MAX_TYPES} event types.", param="types")
    wanted = types or ([params["type"]] if "type" in params else [])
    kept, named = ["created > ?"], list[Any]([world.now() - KEPT_S])
    if wanted:
        kept.append("(" + " OR ".join("json_extract(body, '$.type') GLOB ?" for _ in wanted) + ")")
        named += wanted
    if "delivery_success" in params:
        kept.append(f"NOT {UNDELIVERED}" if params["delivery_success"] else UNDELIVERED)
    page = views.page(world, "event", params, "/v1/events", also=(" AND ".join(kept), *named))
    page["data"] = [shown(world, event) for event in page["data"]]
    return page


def retrieve_event(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Return one event."""
    return shown(world, world.named(id_, "event"))


def create_endpoint(world: World, params: dict[str, Any]) -> Obj:
    """Register a webhook endpoint. This answer alone shows its secret."""
    _check_url(params["url"])
    endpoint = world.store.put(_endpoint(world, new_id("we_1", 23), params["url"], params))
    secret = new_id("whsec_", 32)
    world.store.note(endpoint["id"], "secret", secret)
    return endpoint | {"secret": secret}


def update_endpoint(world: World, params: dict[str, Any], id_: str) -> Obj:
    """Change a webhook endpoint: its URL, its events, or whether it is disabled."""
    endpoint = world.named(id_, "webhook_endpoint")
    if "url" in params:
        _check_url(params["url"])
    fields: dict[str, Any] = {name: params[name] for name in ("url", "enabled_events", "description") if name in params}
    if "disabled" in params:
        fields["status"] = "disabled" if params["disabled"] else "enabled"
    metadata = merged_metadata(endpoint["metadata"], params.get("metadata"))
    return world.change(endpoint, **fields, metadata=metadata)


def delete_endpoint(world: World, _: dict[str, Any], id_: str) -> Obj:
    """Delete a webhook endpoint. Its retries stop."""
    world.named(id_, "webhook_endpoint")
    return world.store.put({"id": id_, "object": "webhook_endpoint", "deleted": True})


def _endpoint(world: World, id_: str, url: str, params: dict[str, Any]) -> Obj:
    return made(
        "webhook_endpoint",
        id=id_,
        object="webhook_endpoint",
        api_version=params.get("api_version"),
        created=world.now(),
        description=params.get("description") or None,
        enabled_events=params["enabled_events"],
        metadata=merged_metadata({}, params.get("metadata")),
        url=url,
    )


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "Invalid URL: An explicit scheme (such as https) must be provided."
        raise Refusal(message, code="url_invalid", param="url")


def _list_endpoints(world: World, params: dict[str, Any]) -> Obj:
    return views.page(world, "webhook_endpoint", params, "/v1/webhook_endpoints")


OPERATIONS = (
    Operation("GET", "/v1/events", "_event_list_params", list_events),
    Operation("GET", "/v1/events/{}", "_event_retrieve_params", retrieve_event),
    Operation("POST", "/v1/webhook_endpoints", "_webhook_endpoint_create_params", create_endpoint, ("connect",)),
    Operation("GET", "/v1/webhook_endpoints", "_webhook_endpoint_list_params", _list_endpoints),
    Operation(
        "GET", "/v1/webhook_endpoints/{}", "_webhook_endpoint_retrieve_params", views.retrieve("webhook_endpoint")
    ),
    Operation("POST", "/v1/webhook_endpoints/{}", "_webhook_endpoint_update_params", update_endpoint),
    Operation("DELETE", "/v1/webhook_endpoints/{}", "_webhook_endpoint_delete_params", delete_endpoint),
)
