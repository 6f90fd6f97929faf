"""One buyer's story: what they buy, what becomes of it at Stripe, and what paidup has heard of that."""

from dataclasses import dataclass, field
from typing import Any

from tests.world import World

CARD = "4242424242424242"
DECLINED_LATER = "4000000000000341"
ASKS_ALWAYS = "4000002760003184"
DISPUTED = "4000000000000259"
REFUND_FAILS = "4000000000005126"
MOMENT_S = 10  # longer than any answer of Stripe's may take, which is taken off the second that it is of


@dataclass(slots=True)
class Story:
    """What *buyer* goes through in *world*. Only `hear` brings paidup news; Stripe's page calls no webhook."""

    world: World
    buyer: str
    began: int = 0
    token: dict[str, Any] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began = self.world.now()
        self._heard = {event["id"] for event in self.world.events(self.began)}

    # -- what the buyer does

    def buys(self, offer_id: str, card: str = CARD, **more: Any) -> None:
        """Open a checkout and pay on Stripe's page."""
        self.opens(offer_id, **more)
        self.pays(card)

    def opens(self, offer_id: str, **more: Any) -> None:
        """Open a checkout."""
        answer = self.world.buy(offer_id, customer=self.buyer, **more)
        assert answer.status in (200, 201), answer.text
        self.token = answer.json

    def pays(self, card: str = CARD) -> None:
        """Pay on the page of the checkout opened last."""
        self.world.pay(self.token["url"], card)

    # -- what paidup hears

    def news(self, *types: str) -> list[dict[str, Any]]:
        """Return Stripe's events that were not returned before, the oldest first; of *types* alone, where given."""
        fresh = [event for event in self.world.events(self.began) if event["id"] not in self._heard]
        self._heard |= {event["id"] for event in fresh}
        return [event for event in fresh if not types or event["type"] in types]

    def hear(self, *types: str) -> list[str]:
        """Deliver the news (of *types* alone, where given: all others are lost), work the queue, and tell the types.

        It comes a moment after it happened, so that whatever is fetched meanwhile is of a later second.
        """
        fresh = self.news(*types)
        self.world.pass_time(MOMENT_S)
        for event in fresh:
            assert self.world.deliver(event).status == 200
        assert self.world.work_queue(100) == []
        assert not types or {event["type"] for event in fresh} == set(types), "Stripe has no such event"
        return [event["type"] for event in fresh]

    def is_swept(self, after_s: int = 61) -> None:
        """Let *after_s* seconds pass, and the minute's sweep ask Stripe about what was not heard."""
        self.world.pass_time(after_s)
        self.world.sweep()

    # -- what came of it

    @property
    def account(self) -> Any:
        """The buyer's whole account."""
        return self.world.account(customer=self.buyer)

    @property
    def purchase(self) -> Any:
        """The buyer's one pass."""
        (only,) = self.account["purchases"]
        return only

    @property
    def access(self) -> dict[str, int | None]:
        """What the buyer may use: offer and end."""
        return {one["offer_id"]: one["until"] for one in self.account["access"]}

    @property
    def version(self) -> int:
        """The billing version."""
        return int(self.account["billing_version"])

    # -- Stripe's side of it

    def session(self) -> Any:
        """The checkout session."""
        asked: Any = {"expand": ["payment_intent", "subscription"]}
        return self.world.stripe.v1.checkout.sessions.retrieve(self.token["token"], asked).to_dict()

    def customer(self) -> str:
        """The buyer's Stripe customer."""
        return str(self.session()["customer"])

    def plan(self) -> Any:
        """The buyer's newest subscription, as Stripe has it."""
        asked: Any = {"customer": self.customer(), "status": "all"}
        return self.world.stripe.v1.subscriptions.list(asked).data[0].to_dict()

    def period_end(self) -> int:
        """The second at which the newest subscription's period ends."""
        return int(self.plan()["items"]["data"][0]["current_period_end"])

    def post(self, path: str, **fields: Any) -> Any:
        """Change something at Stripe, as its dashboard does."""
        url = f"{self.world.fakes.url}/stripe/v1/{path}"
        answer = self.world.http.post(url, data=fields, auth=("sk_test_local", ""))
        assert answer.status_code < 300, answer.text
        return answer.json()

    def trigger(self, path: str, **fields: Any) -> Any:
        """See `World.trigger`."""
        return self.world.trigger(path, **fields)

    def cancel(self) -> None:
        """End every subscription that there is at once, as a merchant does in the dashboard."""
        for plan in self.world.stripe.v1.subscriptions.list({"limit": 100}).data:
            self.world.stripe.v1.subscriptions.cancel(plan.id)
