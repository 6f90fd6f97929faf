"""`paidup keys`: the keys that sign billing tokens. No key is ever shown."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any

import typer
from paidup.edge import clock

from tools import signing_keys
from tools.cli.options import AsJson, Stack, new_app
from tools.cli.output import Stopped, show
from tools.cli.target import secrets_manager

app = new_app(help="Look at the keys that sign billing tokens, and rotate them.")

COLUMNS = {"kid": "key", "state": "state", "signs_at": "signs from", "retire_at": "withdrawn at"}
NONE = "There is no signing key yet: run `paidup keys rotate`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The secret as it was read: its value, and the version of Secrets Manager (None: there is no secret)."""

    client: Any
    name: str
    value: Mapping[str, Any]
    version: str | None

    def replace(self, value: Mapping[str, Any]) -> None:
        """Write *value*, if nobody else has written since. Raises Stopped if somebody has."""
        text = json.dumps(value)
        if self.version is None:
            self.client.create_secret(Name=self.name, SecretString=text)
            return
        # Two who read the same version ask for the same new one, and Secrets Manager gives it to the first.
        token = sha256(self.version.encode()).hexdigest()
        try:
            self.client.put_secret_value(SecretId=self.name, SecretString=text, ClientRequestToken=token)
        except self.client.exceptions.ResourceExistsException:
            raise Stopped("Somebody else rotates the keys at this moment: look with `paidup keys list`.") from None


@app.command("list")
def list_keys(context: typer.Context, stack: Stack = None, as_json: AsJson = False) -> None:
    """List the keys: which one signs, which are published, and until when.

    Example: paidup keys list --stack paidup
    """
    with secrets_manager(context, stack) as (client, name):
        _show(_read(client, name).value, as_json=as_json)


@app.command()
def rotate(
    context: typer.Context,
    stack: Stack = None,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The key is no secret any more: withdraw it now. Tokens are made anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish a new key, let it sign 30 minutes later, and withdraw the old one an hour after that.

    The functions do it by the clock: one call is enough. While a rotation is under way, a second call changes nothing.
    The first call makes the secret.

    Example: paidup keys rotate --stack paidup
    """
    with secrets_manager(context, stack) as (client, name):
        stored = _read(client, name)
        after = signing_keys.rotated(stored.value, at_once=at_once, now=clock.now())
        if after != stored.value:
            stored.replace(after)
        _show(after, as_json=as_json)


def _read(client: Any, name: str) -> Stored:
    try:
        found = client.get_secret_value(SecretId=name)
    except client.exceptions.ResourceNotFoundException:
        return Stored(client=client, name=name, value={}, version=None)
    try:
        value = json.loads(found["SecretString"])
        signing_keys.statuses(value, now=0)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Stopped(f"The secret {name!r} does not hold signing keys.") from None
    return Stored(client=client, name=name, value=value, version=found["VersionId"])


def _show(secret: Mapping[str, Any], *, as_json: bool) -> None:
    found = [asdict(one) for one in signing_keys.statuses(secret, now=clock.now())]
    if not as_json:
        found = [{**one, "signs_at": _date(one["signs_at"]), "retire_at": _date(one["retire_at"])} for one in found]
    show(found, COLUMNS, as_json=as_json, nothing=NONE)


def _date(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds else ""
