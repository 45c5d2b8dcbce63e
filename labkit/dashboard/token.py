"""Who may see the page: whoever has the token, once it is no longer only this computer."""

from collections.abc import Callable
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler

from labkit.dashboard.watch import LOCAL

COOKIE = "labkit-token"
SHORTEST = 16
"""Characters that a token must have."""


def token_for(address: str, given: str | None) -> str | None:
    """Return the token that the page asks for; a new one if the address needs one.

    Raises
    ------
    ValueError
        If the given one can be guessed.
    """
    if given is not None and len(given) < SHORTEST:
        message = f"`--token` must have at least {SHORTEST} characters, but has {len(given)}"
        raise ValueError(message)
    if given is None and address not in LOCAL:
        return token_urlsafe(24)
    return given


class TokenNeeded(AuthProvider):
    """Lets in who sends the token, in the address (``?token=…``) or as the cookie set then.

    Parameters
    ----------
    token : str
    """

    def __init__(self, token: str) -> None:
        self._token = token
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str | None]:
        """What tells a request's visitor; None: refused."""

        def visitor(request: RequestHandler) -> str | None:
            sent = request.get_query_argument("token", None)
            if sent is not None and self._is(sent):
                request.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict")
                return "visitor"
            kept = request.get_cookie(COOKIE)
            return "visitor" if kept is not None and self._is(kept) else None

        return visitor

    def _is(self, sent: str) -> bool:
        return compare_digest(sent.encode(), self._token.encode())

    @property
    def get_user_async(self) -> None:
        """Not used."""

    @property
    def login_url(self) -> str:
        """Where those are sent who have no token."""
        return "/refused"

    @property
    def get_login_url(self) -> None:
        """Not used."""

    @property
    def login_handler(self) -> type[RequestHandler]:
        """What tells them why."""
        return _Refused

    @property
    def logout_url(self) -> None:
        """Not used."""

    @property
    def logout_handler(self) -> None:
        """Not used."""


class _Refused(RequestHandler):
    """Says that the token is missing."""

    def get(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(
            "refused: open the whole address that `labkit dashboard` printed, token included\n"
        )
