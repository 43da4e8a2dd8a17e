"""Cross-origin requests: any origin, GET and POST, the headers that the API uses, cached for a day."""

from starlette.requests import Request
from starlette.responses import Response

METHODS = ("GET", "POST")
HEADERS = ("x-seafowl-query", "authorization", "content-type")
MAX_AGE_S = 86400


def preflight(request: Request) -> Response | None:
    """The answer to a preflight request, or None for any other request."""
    origin = request.headers.get("origin")
    if request.method != "OPTIONS" or origin is None:
        return None
    if request.headers.get("access-control-request-method") not in METHODS:
        return Response("CORS request forbidden: request-method not allowed", 403)
    asked = request.headers.get("access-control-request-headers", "")
    if any(name.strip().lower() not in HEADERS for name in asked.split(",") if name.strip()):
        return Response("CORS request forbidden: header not allowed", 403)
    return Response(
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Headers": ", ".join(HEADERS),
            "Access-Control-Allow-Methods": ", ".join(METHODS),
            "Access-Control-Max-Age": str(MAX_AGE_S),
        }
    )


def allow_origin(request: Request, response: Response) -> None:
    """Let the asking origin read this response."""
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
