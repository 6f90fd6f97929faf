"""What hosts do with passes whose uses are counted: take uses, give them back, and ask many at once."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from paidup.flows.redeem import redeem, take_back
from paidup.model.purchase import Purchase
from paidup.model.use import use_id

from tools.soak.customer_rules import HOSTS, picks
from tools.soak.managing_rules import ManagingRules

AT_ONCE = 50


class HostRules(ManagingRules):
    """Hosts who count classes. `taken` is what they took: how many uses, by purchase and by the key of the request."""

    def __init__(self) -> None:
        """Begin with no use taken."""
        super().__init__()
        self.taken: dict[str, dict[str, int]] = {}
        self._unsure: list[tuple[str, str, int]] = []
        self._unsure_back: list[tuple[str, str]] = []
        self._asked = 0

    @precondition(lambda self: self.counted())
    @rule(pick=picks, count=st.sampled_from([1, 1, 2, 5, 10]))
    def take_uses(self, pick: int, count: int) -> None:
        """Take some uses of a pass."""
        purchase = self.picked(self.counted(), pick)
        self._take(purchase.purchase_id, self._new_key(), count)

    @precondition(lambda self: self.taken)
    @rule(pick=picks)
    def take_the_same_again(self, pick: int) -> None:
        """Send a request again: it takes nothing more."""
        purchase_id, key = self.picked(self._keys(), pick)
        before = self.find(Purchase, purchase_id).used
        self._take(purchase_id, key, self.taken[purchase_id][key])
        assert self.find(Purchase, purchase_id).used == before, key

    @precondition(lambda self: self.taken)
    @rule(pick=picks)
    def give_uses_back(self, pick: int) -> None:
        """Give back what was taken by mistake, within a day."""
        self._give_back(*self.picked(self._keys(), pick))

    @precondition(lambda self: self.counted())
    @rule(pick=picks)
    def fifty_ask_at_once(self, pick: int) -> None:
        """Let 50 requests take one use each, every second one in the midst of another, of a pass that has fewer."""
        purchase_id = self.picked(self.counted(), pick).purchase_id
        self.soon = None
        for _ in range(AT_ONCE // 2):
            self.prepare(0, lambda: self._take(purchase_id, self._new_key(), 1), only_writes=True)
            self._take(purchase_id, self._new_key(), 1)
        after = self.find(Purchase, purchase_id)
        assert not after.status_at(now=self.now, policy=self.services.policy).grants, "somebody asked and got none"
        self.meet("50 asked for uses at once")

    def acts_of_others(self) -> dict[str, Callable[[], object]]:
        """See `Unlucky.acts_of_others`: somebody takes a use."""
        first = next(iter(self.counted()), None)
        use = {"use": lambda: self._take(first.purchase_id, self._new_key(), 1)} if first else {}
        return super().acts_of_others() | use

    # -- how it is done

    def counted(self) -> list[Purchase]:
        """Return the purchases whose uses are counted."""
        return [one for one in self.all_of(Purchase) if one.uses is not None]

    def used(self, purchase_id: str) -> int:
        """Return how many uses of a purchase the hosts have taken and not given back."""
        return sum(self.taken.get(purchase_id, {}).values())

    def finish_by_hand(self) -> None:
        """See `HearingRules.finish_by_hand`: hosts ask again for what they got no answer to."""
        super().finish_by_hand()
        for purchase_id, key, count in self._unsure:
            self._take(purchase_id, key, count)
        for purchase_id, key in self._unsure_back:
            self._give_back(purchase_id, key)

    def _take(self, purchase_id: str, key: str, count: int) -> None:
        done = self.attempt(lambda: redeem(purchase_id, count, HOSTS[0], self.services, key=key, now=self.now))
        if done:
            self.taken.setdefault(purchase_id, {}).setdefault(key, count)
            self.meet("use taken" if done.purchase.uses_left else "last use taken")
        elif self.crashed:
            self._unsure.append((purchase_id, key, count))

    def _give_back(self, purchase_id: str, key: str) -> None:
        an_id = use_id(purchase_id, key)
        if self.attempt(lambda: take_back(purchase_id, an_id, HOSTS[1], self.services, now=self.now)):
            self.taken[purchase_id][key] = 0
            self.meet("use given back")
        elif self.crashed:
            self._unsure_back.append((purchase_id, key))

    def _keys(self) -> list[tuple[str, str]]:
        return [(purchase_id, key) for purchase_id, keys in self.taken.items() for key in keys]

    def _new_key(self) -> str:
        self._asked += 1
        return f"use-{self._asked}"
