"""A bounded store of things that are costly to make."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from threading import Lock
from typing import Generic, TypeVar

Made = TypeVar("Made")
Key = TypeVar("Key", bound=Hashable)


class Recent(Generic[Made]):
    """The things used last, shared by threads. Two threads may make the same one; either will do.

    At most `most` are kept, which together weigh `weight(thing)` up to `heaviest`.
    """

    def __init__(
        self, most: int, *, heaviest: float = float("inf"), weight: Callable[[Made], float] = lambda made: 0
    ) -> None:
        self._most, self._heaviest, self._weight = most, heaviest, weight
        self._lock, self._kept, self._weighs = Lock(), OrderedDict[Hashable, Made](), 0.0

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._keep(key, made)
        return made

    def get_all(self, keys: Collection[Key], make: Callable[[list[Key]], Mapping[Key, Made]]) -> dict[Key, Made]:
        """Several things, those that are not kept made together. What `make` does not give is not there."""
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        missing = [key for key in keys if key not in found]
        made = make(missing) if missing else {}
        with self._lock:
            for key, thing in made.items():
                self._keep(key, thing)
        return found | dict(made)

    def _keep(self, key: Hashable, made: Made) -> None:
        if key in self._kept:
            self._weighs -= self._weight(self._kept[key])
        self._kept[key] = made
        self._kept.move_to_end(key)
        self._weighs += self._weight(made)
        while len(self._kept) > self._most or (self._weighs > self._heaviest and len(self._kept) > 1):
            _, dropped = self._kept.popitem(last=False)
            self._weighs -= self._weight(dropped)
