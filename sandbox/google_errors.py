"""Google's error answers."""

from collections.abc import Mapping
from typing import Any

STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "badRequest"),
    401: ("UNAUTHENTICATED", "authError"),
    403: ("PERMISSION_DENIED", "forbidden"),
    404: ("NOT_FOUND", "notFound"),
    409: ("ALREADY_EXISTS", "existingResource"),
    429: ("RESOURCE_EXHAUSTED", "rateLimitExceeded"),
    500: ("INTERNAL", "backendError"),
    503: ("UNAVAILABLE", "backendError"),
}


class ApiError(Exception):
    """An answer that is not 2xx. `reason` is the machine-readable word in Google's JSON."""

    def __init__(self, status: int, message: str, reason: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after
        self.reason = reason or STATUSES.get(status, ("UNKNOWN", "unknown"))[1]

    def json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": {
                "code": self.status,
                "message": self.message,
                "errors": [{"message": self.message, "domain": "walletobjects", "reason": self.reason}],
                "status": STATUSES.get(self.status, ("UNKNOWN", ""))[0],
            }
        }
