"""The two ways to fail: an answer to one request, or the end of the process."""

import re

COLOURS = re.compile("\x1b\\[[0-9;]*m")


class Fatal(Exception):
    """The node cannot run. Ends the process with `exit_code` (101, like the original's panics)."""

    def __init__(self, message: str, exit_code: int = 101) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ApiError(Exception):
    """An answer with an HTTP status and a plain text body, worded as the original words it."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


class QueryError(ApiError):
    """A statement that cannot be parsed, planned or run: 400 with the engine's text."""

    def __init__(self, body: str) -> None:
        super().__init__(400, body)


def plan_error(message: str) -> QueryError:
    """A query error in the words of DataFusion's planner."""
    return QueryError(f"Error during planning: {message}")


def not_implemented(message: str) -> QueryError:
    """A query error for what neither the original nor the stand-in does."""
    return QueryError(f"This feature is not implemented: {message}")


def engine_error(error: BaseException) -> ApiError:
    """Turn an exception of datafusion or deltalake into an answer, without its Rust backtrace and colours."""
    if isinstance(error, ApiError):
        return error
    text = COLOURS.sub("", str(error)).split("\n   0: ", 1)[0].removeprefix("External error: ").strip()
    return QueryError(text or type(error).__name__)
