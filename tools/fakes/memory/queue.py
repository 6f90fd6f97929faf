"""A queue of webhooks in memory: a message comes out when its time has come, again and again until it is done."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Message:
    """The raw event *body* of a provider, which a *channel* brought at `heard_at`. It is worked on from `at` on, for
    the `attempt`th time. Epoch seconds.
    """

    provider: str
    body: str
    channel: str
    heard_at: int
    at: int
    attempt: int = 1


@dataclass(slots=True)
class MemoryQueue:
    """A queue as `put` fills it. `before` is called with every operation's name, and may raise."""

    now: Callable[[], int]
    before: Callable[[str], Callable[[], None] | None] = lambda _: None
    messages: list[Message] = field(default_factory=list)

    def put(self, provider: str, body: str, *, channel: str, heard_at: int, delay_s: int = 0) -> None:
        """Keep *body* until it is done with. Nobody gets it before *delay_s* seconds are over."""
        after = self.before("put a message")
        at = self.now() + delay_s
        self.messages.append(Message(provider=provider, body=body, channel=channel, heard_at=heard_at, at=at))
        if after:
            after()

    @property
    def ready(self) -> list[Message]:
        """The messages that can be worked on now, the oldest first."""
        return [one for one in self.messages if one.at <= self.now()]

    def done(self, message: Message) -> None:
        """Forget *message*. Who worked on it at the same time may have done so before: as in SQS, that is no fault."""
        self.messages = [one for one in self.messages if one is not message]

    def returns(self, message: Message, *, in_s: int) -> None:
        """Let *message* come again *in_s* seconds from now."""
        message.at, message.attempt = self.now() + in_s, message.attempt + 1
