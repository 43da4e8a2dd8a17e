"""What can go wrong, as the engine gets to see it."""

from .plain import Props


class ProviderError(Exception):
    """An operation failed; the text is the user's message and never holds a property's value."""


class PartlyCreatedError(ProviderError):
    """A resource exists but is not as asked: the engine keeps it in the state with this error."""

    def __init__(self, message: str, resource_id: str, outputs: Props) -> None:
        super().__init__(message)
        self.resource_id = resource_id
        self.outputs = outputs
