"""How long a trial may be, and when it ends."""

from typing import Any

from tools.fakes.store import Obj
from tools.fakes.stripe.wire import Refusal
from tools.fakes.stripe.world import World

DAY = 86_400
LONGEST_DAYS = 730
SHORTEST_ON_A_PAGE_S = 2 * DAY


def end_of(world: World, params: dict[str, Any], price: Obj, at: str = "") -> int | None:
    """Return the second at which the trial asked for ends, if one is. *at* names the place in the params."""
    path, now = f"{at}[{{}}]" if at else "{}", world.now()
    named = {name: path.format(name) for name in ("trial_end", "trial_period_days")}
    if named.keys() <= params.keys():
        message = f"You may only specify one of these parameters: {named['trial_end']}, {named['trial_period_days']}."
        raise Refusal(message, param=named["trial_end"])
    if (second := params.get("trial_end")) not in (None, "now"):
        if second <= now:
            message = "Invalid timestamp: must be an integer Unix timestamp in the future"
            raise Refusal(message, param=named["trial_end"])
        if second > now + LONGEST_DAYS * DAY:
            message = "Invalid timestamp: can be no more than two years in the future"
            raise Refusal(message, param=named["trial_end"])
        return int(second)
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = price["recurring"]["trial_period_days"]
    if days is None:
        return None
    if days < 1:
        raise Refusal("The minimum number of trial period days is 1.", param=named["trial_period_days"])
    if days > LONGEST_DAYS:
        message = f"The maximum number of trial period days is {LONGEST_DAYS}."
        raise Refusal(message, param=named["trial_period_days"])
    return int(now + days * DAY)


def end_on_page(world: World, data: dict[str, Any], price: Obj) -> int | None:
    """Return the end of the trial that a page with the `subscription_data` *data* offers, were it paid now."""
    end = end_of(world, data, price, "subscription_data")
    if "trial_end" in data and end is not None and end < world.now() + SHORTEST_ON_A_PAGE_S:
        message = "The `trial_end` date has to be at least 2 days in the future."
        raise Refusal(message, param="subscription_data[trial_end]")
    return end
