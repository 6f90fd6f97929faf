"""Views that show fields of the model under the model's own names."""

from dataclasses import fields
from typing import Any


def copied[T](kind: type[T], source: object, **more: Any) -> T:
    """Return the view *kind* (a dataclass) with *more*, and with the fields of *source* that have the other names."""
    names = (one.name for one in fields(kind) if one.name not in more)  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: getattr(source, name) for name in names}, **more)
