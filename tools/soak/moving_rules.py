"""What support does: move everything of one customer id to another, and back, whatever comes between."""

from collections.abc import Callable

from hypothesis.stateful import precondition, rule
from paidup.flows.move import move
from paidup.model.booking import Booking
from paidup.model.checkout import Checkout
from paidup.model.purchase import Purchase

from tools.soak.clock import ADA, BEA
from tools.soak.host_rules import HostRules


class MovingRules(HostRules):
    """A customer who had two ids. Until a move is done, they go on with the old one."""

    def __init__(self) -> None:
        """Begin with nothing moved."""
        super().__init__()
        self._moving = False
        self._moved: set[tuple[str, str, str]] = set()

    @precondition(lambda self: self.account().version)
    @rule()
    def move_to_the_other_id(self) -> None:
        """Let support move everything; a move that died is begun again."""
        self.move_everything()

    def acts_of_others(self) -> dict[str, Callable[[], object]]:
        """See `Unlucky.acts_of_others`: support moves everything."""
        return super().acts_of_others() | ({"move": self.move_everything} if self.account().version else {})

    def move_everything(self) -> None:
        """Move everything from the id that the customer has to the other."""
        source, target = self.who, self._other()
        self._moving = True
        there = {one.purchase_id for one in self.all_of(Purchase, source)}
        if self.attempt(lambda: move(source, target, self.services, reason="two ids", by="eva", now=self.now)):
            self.who, self._moving = target, False
            self.meet("everything moved to the other id")
        moved = there & {one.purchase_id for one in self.all_of(Purchase, target)}
        self._moved |= {(an_id, source, target) for an_id in moved}

    def finish_by_hand(self) -> None:
        """See `HearingRules.finish_by_hand`: support moves again what a crash left, and what was bought meanwhile."""
        super().finish_by_hand()
        if self._moving:
            self.move_everything()
        if self._left_behind():
            self.who = self._other()
            self.move_everything()

    def calm_down(self) -> None:
        """See `HearingRules.calm_down`. While both ids had a booking, support had to wait. It moves the rest now."""
        super().calm_down()
        if self._moving and not self._both_booked():
            self.finish_by_hand()

    def everything_is_the_customers(self) -> None:
        """Hold that all is under the id that the customer has, nothing is elsewhere, and both timelines tell of it."""
        other = self._other()
        if self._both_booked():  # support is told to wait until one of the two is over
            return
        assert not self._left_behind(), other
        left = self.account(other)
        assert not left.current_access(now=self.now), left
        assert (left.open_checkout_id, left.open_booking_id, left.running) == (None, None, ()), left
        told = [key for key in self.rows.rows if key[0].startswith("TIMELINE#")]
        for purchase_id, *both in self._moved:
            for who in both:
                mark = f"{purchase_id}@moved-to-{both[1]}"
                assert any(pk == f"TIMELINE#{who}" and mark in sk for pk, sk in told), (purchase_id, both)

    # -- how it is done

    def _other(self) -> str:
        return BEA if self.who == ADA else ADA

    def _left_behind(self) -> list[Checkout | Purchase | Booking]:
        """Return what is under the id that the customer has no more."""
        other = self._other()
        return [*self.all_of(Checkout, other), *self.all_of(Purchase, other), *self.all_of(Booking, other)]

    def _both_booked(self) -> bool:
        return len({one.customer_id for one in self.all_of(Booking) if one.open}) > 1
