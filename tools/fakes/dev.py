"""What no provider offers and every test wants: faults and time at will."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.fakes import due, faults
from tools.fakes.problems import Problem, json_object
from tools.fakes.world import World

FURTHEST_S = 10 * 366 * 86_400


class Dev:
    """Answer requests to `/dev` that concern every stand-in."""

    def __init__(self, world: World) -> None:
        """Change *world*."""
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/dev/faults", self.show_faults, methods=["GET"]),
            Route("/dev/faults", self.set_faults, methods=["POST"]),
            Route("/dev/clock", self.show_clock, methods=["GET"]),
            Route("/dev/clock", self.set_clock, methods=["POST"]),
        ]

    async def show_faults(self, _: Request) -> Response:
        """Return the faults in force."""
        return JSONResponse(self._world.faults.shown())

    async def set_faults(self, request: Request) -> Response:
        """Replace the faults in force. `{}` stops them all."""
        try:
            self._world.faults = faults.parse(await json_object(request))
        except ValueError as error:
            raise Problem(str(error)) from None
        return JSONResponse(self._world.faults.shown())

    async def show_clock(self, _: Request) -> Response:
        """Return the time."""
        return JSONResponse(self._time())

    async def set_clock(self, request: Request) -> Response:
        """Stop the clock or let it run (`stand_still`), then let `advance_s` seconds pass, with all that falls due."""
        body, clock = await json_object(request, "advance_s", "stand_still"), self._world.clock
        seconds, still = body.get("advance_s", 0), body.get("stand_still", clock.stands_still)
        if not isinstance(still, bool) or not body:
            raise Problem("say advance_s (whole seconds), stand_still (true or false), or both")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= FURTHEST_S:
            raise Problem(f"advance_s must be whole seconds from 0 to {FURTHEST_S}: time only passes forwards")
        if still:
            clock.stand_still()
        else:
            clock.run()
        due.advance(self._world, seconds)
        return JSONResponse(self._time())

    def _time(self) -> dict[str, Any]:
        clock = self._world.clock
        now = clock.now()
        iso = datetime.fromtimestamp(now, UTC).isoformat()
        return {"now": now, "offset_s": clock.offset, "stands_still": clock.stands_still, "iso": iso}
