"""The table in memory as botocore's clients reach it: each call to DynamoDB is answered before it is signed and sent.

botocore checks and serializes the request, and raises refusals as its own exceptions. Threads take turns.
"""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.session import Session
from paidup.outside.dynamo.client import refuse_when_late

from tools.fakes.memory.table import MemoryTable


@dataclass(frozen=True, slots=True)
class Wire:
    """What answers in DynamoDB's place."""

    table: MemoryTable
    _turn: RLock = field(default_factory=RLock)

    def answer(self, *, model: OperationModel, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        """Answer a call, as botocore's event `before-call` asks: with an HTTP answer, and what its body says."""
        refuse_when_late()
        call: Callable[..., Any] | None = getattr(self.table, xform_name(model.name), None)
        if call is None:
            raise NotImplementedError(f"{model.name}, which this table does not know")
        asked = json.loads(params["body"], object_hook=_read)
        try:
            with self._turn:
                return _answered(params["url"], 200, call(**asked))
        except ClientError as refusal:
            return _answered(params["url"], 400, dict(refusal.response))


def answer_for(session: Session, table: MemoryTable) -> None:
    """Let every client of DynamoDB that *session* makes from now on find *table* alone.

    What else listens before a call comes first, and may answer it.
    """
    session.get_component("event_emitter").register_last("before-call.dynamodb", Wire(table).answer)


def _read(found: dict[str, Any]) -> dict[str, Any]:
    """Return a value as botocore's callers give it: binary in the place of base64."""
    if found.keys() == {"B"} and isinstance(found["B"], str):
        return {"B": b64decode(found["B"])}
    return found


def _answered(url: str, status: int, body: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
    told = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}}
    return AWSResponse(url, status, HTTPHeaders(), None), body | told
