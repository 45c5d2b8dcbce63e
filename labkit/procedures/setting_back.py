"""What was changed for a while is set back, unless the lab must be made safe at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labkit.procedures.session import Session


@contextmanager
def setting_back(session: Session, restore: Callable[[], object]) -> Iterator[None]:
    """Set back what was changed for a while, also where nothing was found (ValueError).

    After any other error the lab is made safe instead, at once: to set back takes time, with a
    lost instrument seconds, and would let light through again.
    """
    try:
        yield
    except ValueError:
        restore()
        raise
    except BaseException:
        session.make_safe()
        raise
    restore()
