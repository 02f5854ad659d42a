"""Why a command was refused, as exceptions. If several apply, the one that is raised is the first in the
order of the table in the rules: 429, 404, 400 and so on.

Engines make them; a program only catches them. Their ids are of the type of the engine's ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from . import _native
from ._options import Limit
from .absences import Absence


class Refused(Exception):
    """A command was refused. It changed nothing, except that it was charged against the rate limit unless
    it is a `TooFast`. `str()` gives a text for logs and developers."""

    code: ClassVar[int]
    """The HTTP status."""
    index: int | None
    """In a batch: the place of the command that was refused, from 0."""

    def __init__(
        self, text: str, data: _native._RefusalData, index: int | None = None, **fields: Any
    ) -> None:
        super().__init__(text)
        self._data = data
        self.index = index
        vars(self).update(fields)

    def reply(self, now: int) -> str:
        """The reply to the request as JSON of the chat API. `now` is the time of the command."""
        return self._data.reply(now)

    def __reduce__(self) -> tuple[Callable[..., Refused], tuple[bool, bytes, int | None]]:
        return _native._restore_refusal, (*self._data.parts(), self.index)


class TooFast(Refused):
    """429: the user repeats the operation too fast."""

    code = 429
    retry_at: int
    """From this time on the command is admitted."""


class NoSuchGroup(Refused):
    """404: there is no such group, and none is remembered."""

    code = 404


class Dissolved(Refused):
    """404: the group was dissolved."""

    code = 404
    by: int | str
    """Its last owner."""
    at: int
    """When it was dissolved."""
    note: str | None
    """The owner's text, if there is one."""
    successor: int | str | None
    """The group that replaces this one, if the owner named one."""


class NotMember(Refused):
    """400: the user who acts is not a member of the group."""

    code = 400
    absence: Absence[Any]
    """Why they are not a member."""


class NotOwner(Refused):
    """403: only the owner may do this."""

    code = 403


class Outranked(Refused):
    """403: the user acted upon has the same or a higher rank than the user who acts."""

    code = 403


class TargetNotMember(Refused):
    """400: the user acted upon is not a member of the group."""

    code = 400
    absence: Absence[Any]
    """Why they are not a member."""


class GroupExists(Refused):
    """409: there is a group with this id."""

    code = 409


class IdReserved(Refused):
    """409: a group with this id was dissolved, and is still remembered."""

    code = 409
    until: int
    """When the id becomes free."""


class AlreadyMember(Refused):
    """409: the user is already a member."""

    code = 409


class NotAdmin(Refused):
    """403: only the owner and admins may do this."""

    code = 403


class Banned(Refused):
    """403: the user is banned from the group."""

    code = 403
    by: int | str
    """Who banned them."""
    until: int | None
    """When the ban ends; `None` if it only ends when it is lifted."""


class OwnerMustStay(Refused):
    """409: this group's owner cannot leave it. They must transfer or dissolve it."""

    code = 409


class AlreadyOwner(Refused):
    """409: the user to become the owner is the owner."""

    code = 409


class AlreadyRanked(Refused):
    """409: the member already has that rank."""

    code = 409


class NotBanned(Refused):
    """409: the user is not banned."""

    code = 409


class AlreadyExpired(Refused):
    """409: the ban or mute would end at or before the present time."""

    code = 409


class OverLimit(Refused):
    """413: a limit would be exceeded."""

    code = 413
    limit: Limit
    """Which limit."""
    max: int
    """The limit's value."""


class Closed(Refused):
    """403: the group is closed. Users become members only by `add`."""

    code = 403


class TargetBanned(Refused):
    """409: the user to be added is banned from the group. The ban must be lifted first."""

    code = 409
    by: int | str
    """Who banned them."""
    until: int | None
    """When the ban ends; `None` if it only ends when it is lifted."""


class Muted(Refused):
    """403: the user may not post or edit in this group."""

    code = 403
    by: int | str
    """Who muted them."""
    until: int | None
    """When the mute ends; `None` if it only ends when it is lifted."""


class NotMuted(Refused):
    """409: the user is not muted."""

    code = 409


class NoSuchEntry(Refused):
    """404: the group's log has no entry with this number, or none that the user may read."""

    code = 404


class NotAuthor(Refused):
    """403: another user wrote the message."""

    code = 403


class AlreadyErased(Refused):
    """409: the message is already erased."""

    code = 409
