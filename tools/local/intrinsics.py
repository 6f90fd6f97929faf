"""What the intrinsic functions of template.yaml (`!Ref`, `!GetAtt`, `!Sub`, …) come to in a deployed stack."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.local.template import Function, Template, Unreadable, is_intrinsic

REGION = "us-east-1"
STACK_NAME = "paidup"
SOCKET_API = "local"

NO_VALUE = object()


@dataclass(kw_only=True)
class Resolver:
    """Works out `!Ref`, `!GetAtt`, `!Sub` and the like, once it is known what the stack's resources are called.

    `refs` and `attributes` (as `Table.Arn`) hold what is deployed. Parameters come from `given`, else their defaults.
    """

    template: Template
    given: Mapping[str, Any]
    account: str
    refs: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    def put_sockets(self, gateway: str) -> None:
        """Say that the template's WebSocket API, if it has one, is at *gateway* (`ws://…`)."""
        if api := self.template.sockets:
            self.refs |= {api.api: SOCKET_API, api.stage: api.name}
            self.attributes[f"{api.api}.ApiEndpoint"] = gateway

    def __call__(self, value: Any) -> Any:
        """Return *value* with every intrinsic function in it worked out."""
        if isinstance(value, list):
            return [one for one in map(self, value) if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if is_intrinsic(value):
            ((key, argument),) = value.items()
            return self._intrinsic(key, argument)
        worked_out = {key: self(one) for key, one in value.items()}
        return {key: one for key, one in worked_out.items() if one is not NO_VALUE}

    def environment(self, function: Function) -> dict[str, str]:
        """Return the environment variables that the template gives *function*."""
        return {name: str(value) for name, value in self(dict(function.environment)).items()}

    def _intrinsic(self, key: str, argument: Any) -> Any:
        match key:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return self._attribute(argument if isinstance(argument, str) else ".".join(argument))
            case "Fn::Sub":
                text, own = (argument, {}) if isinstance(argument, str) else argument
                return re.sub(r"\$\{([^}]+)\}", lambda found: self._named(found[1], own), text)
            case "Fn::Join":
                return argument[0].join(str(one) for one in self(argument[1]))
            case "Fn::If":
                return self(argument[1] if self._holds(argument[0]) else argument[2])
            case _:
                raise Unreadable(f"template.yaml uses {key}, which the local stack cannot read yet.")

    def _named(self, name: str, own: Mapping[str, Any]) -> str:
        if name in own:
            return str(self(own[name]))
        return str(self._attribute(name) if "." in name else self._ref(name))

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::StackName": STACK_NAME,
            "AWS::Partition": "aws",
            "AWS::AccountId": self.account,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": NO_VALUE,
        }
        for known in (self.given, self.refs, pseudo):
            if name in known:
                return known[name]
        if name not in self.template.parameters:
            raise Unreadable(f"template.yaml refers to {name}, which the local stack does not deploy.")
        parameter = self.template.parameters[name]
        if "Default" not in parameter:
            raise Unreadable(f"The template's parameter {name} has no default, and the local stack does not set it.")
        default = parameter["Default"]
        return default.split(",") if parameter["Type"] == "CommaDelimitedList" else default

    def _attribute(self, name: str) -> str:
        if name not in self.attributes:
            raise Unreadable(f"template.yaml asks for {name}, which the local stack does not know.")
        return self.attributes[name]

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._holds(self.template.conditions[condition])
        ((key, argument),) = condition.items()
        match key:
            case "Condition":
                return self._holds(argument)
            case "Fn::Equals":
                one, other = self(argument)
                return str(one) == str(other)
            case "Fn::Not":
                return not self._holds(argument[0])
            case _:
                raise Unreadable(f"template.yaml decides by {key}, which the local stack cannot read yet.")
