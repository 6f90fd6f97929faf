"""How news arrives: events by the webhook and its queue, sweeps, polls and syncs, and quiet in the end."""

from paidup.flows.confirm import confirm
from paidup.flows.events import AGAIN_IN_S, process_event, receive, retry_event
from paidup.flows.sync import sync
from paidup.model.checkout import Checkout
from paidup.model.errors import Refusal, SecondNotOver
from paidup.model.fact import Channel

from tools.fakes.memory.queue import Message
from tools.soak.clock import ClockRules

A_MINUTE = (60,)
HOURS = (3_600, 3_600, 3_600)  # longer than the longest back-off
COMES_BACK_S = 60
MOST_TRIES = 100


class HearingRules(ClockRules):
    """What the shop hears of its provider, and how it comes to rest."""

    def __init__(self) -> None:
        """Begin without any news."""
        super().__init__()
        self.heard: set[int] = set()
        self._in_queue = False

    def wait(self) -> None:
        """See `ClockRules.wait`. An event of a tie comes back from the queue, and nobody waits for its second."""
        if not self._in_queue:
            super().wait()

    # -- events

    @property
    def unheard(self) -> list[int]:
        """The events that have not arrived, the newest last."""
        return [n for n in range(len(self.provider.told)) if n not in self.heard]

    def hear(self, n: int, *, works: bool = True) -> None:
        """Let the *n*th event arrive, as the webhook hears it, and, if the queue *works*, be settled from there."""

        def act() -> None:
            self.receive(n)
            if works:
                self.work_the_queue()

        self.attempt(act)

    def hear_again(self, n: int) -> None:
        """Let the *n*th event be settled though it is known: its function died before that was recorded, or somebody
        replays it.
        """
        self.attempt(lambda: process_event(self.provider.told_as_event(n), self.services, now=self.now, anew=True))

    def receive(self, n: int) -> None:
        """Let the webhook hear the *n*th event. Once it is answered, the provider does not send it again."""
        self._in_queue = True
        try:
            receive(self.provider.told_as_event(n), self.services, now=self.now)
        finally:
            self._in_queue = False
        self.heard.add(n)

    def work_the_queue(self) -> None:
        """Settle what is ready in the queue, once each. What fails comes back, and so does what a crash left."""
        for message in self.queue.ready:
            self.queue.returns(message, in_s=COMES_BACK_S)
            self._in_queue = True
            try:
                self._work_on(message)
            finally:
                self._in_queue = False

    def _work_on(self, message: Message) -> None:
        event = self.provider.read_event(message.body)
        try:
            retry_event(
                event,
                self.services,
                now=self.now,
                attempt=message.attempt,
                left_s=60.0,
                channel=Channel(message.channel),
                heard_at=message.heard_at,
            )
        except SecondNotOver:
            self.queue.returns(message, in_s=AGAIN_IN_S)
            self.meet("tie that came back from the queue")
        except Refusal:
            self.meet("event that failed in the queue")
        else:
            self.queue.done(message)

    # -- quiet

    def have_a_quiet_day(self) -> None:
        """Let the provider and the sweeps work for a day, so that pages end and what is due goes back."""
        self.calm()
        for seconds in (60, 90_000, 60):
            self.pass_time(seconds)
            self._sweep()

    def calm_down(self) -> None:
        """End every fault, let banks decide and events arrive, or, where none does any more, let the customer poll and
        sync; then let the sweeps run: for a minute, or, where anything has failed that is tried later and later, for
        longer than the longest back-off.
        """
        self.calm()
        self.provider.tick()
        for sheet in list(self.provider.sheets.values()):
            self.provider.decide(sheet.token, succeeds=True)
        self.finish_by_hand()
        self._work(60)
        self._ask()
        troubled = self.interrupted or self.provider.failed
        self.meet("hours of quiet, after a fault" if troubled else "a quiet minute")
        for seconds in HOURS if troubled else A_MINUTE:
            self._work(seconds)
        self._ask()
        assert not self.queue.messages, self.queue.messages

    def finish_by_hand(self) -> None:
        """Let people do again what died half-way. Rules that know of such a thing add to this."""

    def _work(self, seconds: int) -> None:
        self.pass_time(seconds)
        self._hear_the_rest()
        tries = 0
        while self.queue.messages:
            self.work_the_queue()
            if self.queue.messages:
                self.pass_time(AGAIN_IN_S)
            tries += 1
            assert tries < MOST_TRIES, self.queue.messages
        self._sweep()

    def _ask(self) -> None:
        """Let the customer poll and sync, where no event tells."""
        if self.told_in_the_end:
            return
        for checkout in self.all_of(Checkout, self.who):
            confirm(self.who, checkout.checkout_id, self.services, now=self.now)
        sync(self.who, None, self.services, now=self.now)

    def _sweep(self) -> None:
        if self.rows.holds_due(now=self.now):
            self.run_the_sweep()

    def _hear_the_rest(self) -> None:
        """Let all events that have not arrived do so, in their order, or only those that nobody can ask for."""
        for n in self.unheard:
            if self.told_in_the_end or self.provider.told[n].asked_before < self.now:
                self.receive(n)
