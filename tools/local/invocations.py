"""Lambda's Invoke API on this machine, so that boto3 and the aws command line can invoke the functions by name."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.local.functions import Busy, Function

WAIT_S = 60


def invocations(functions: Mapping[str, Function]) -> Starlette:
    """Return the API that invokes *functions*."""

    async def invoke(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in functions:
            message = f"Function not found: {name}. There are {', '.join(sorted(functions))}."
            return _error(404, "ResourceNotFoundException", message)
        event = await request.body() or b"{}"
        if request.headers.get("x-amz-invocation-type") == "Event":
            background = BackgroundTask(functions[name].invoke, event, wait_s=WAIT_S)
            return Response(status_code=202, background=background)
        try:
            answer = await functions[name].invoke(event, wait_s=WAIT_S)
        except Busy:
            return _error(429, "TooManyRequestsException", f"Every worker of {name} was busy for {WAIT_S} s.")
        headers = {"x-amz-executed-version": "$LATEST"}
        if answer.failed:
            headers["x-amz-function-error"] = "Unhandled"
        return Response(answer.payload, headers=headers, media_type="application/json")

    return Starlette(routes=[Route("/2015-03-31/functions/{name}/invocations", invoke, methods=["POST"])])


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"Message": message}, status, {"x-amzn-errortype": kind})
