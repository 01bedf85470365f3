"""Options of a feature, from its text and back to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from terrapatch.errors import FeatureError

_SPAN = re.compile(r"^(\d+)-(\d+)$")
_YES, _NO = ("yes", "true", "1", "on", ""), ("no", "false", "0", "off")


class Options:
    """Reads the options of one feature; whatever is left over at the end is refused.

    Args:
        kind: The feature's kind, for messages.
        options: Its options as text; an option without a value stands for ``yes``.
    """

    def __init__(self, kind: str, options: Mapping[str, str]) -> None:
        self._kind, self._left, self._known = kind, dict(options), list[str]()

    def whole(self, name: str, default: int | None, least: int = 1) -> int:
        """Take a whole number; without a default it has to be given.

        Raises:
            FeatureError: If it is missing, not a whole number or below ``least``.
        """
        text = self._take(name)
        if text is None and default is not None:
            return default
        if text is None or not re.fullmatch(r"\d+", text) or int(text) < least:
            said = "is missing" if text is None else f"is {text!r}"
            raise FeatureError(
                f"{name} of {self._kind!r} {said}; write a whole number from {least}, such as "
                f"{self._kind}:{name}={max(3, least)}"
            )
        return int(text)

    def odd(self, name: str, default: int, least: int = 1) -> int:
        """Take the side of a square around a pixel: an odd number.

        Raises:
            FeatureError: If it is even, below ``least`` or not a whole number.
        """
        value = self.whole(name, default, least)
        if value % 2 == 0:
            raise FeatureError(
                f"{name}={value} of {self._kind!r} has no middle pixel; give an odd number, such "
                f"as {value + 1}"
            )
        return value

    def number(self, name: str, default: float, least: float = 0.0) -> float:
        """Take a number.

        Raises:
            FeatureError: If it is none, or below ``least``.
        """
        text = self._take(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value < float("inf"):
            raise FeatureError(
                f"{name}={text} of {self._kind!r} is not understood; write a number from {least:g}"
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Take a yes or no; the bare name means yes.

        Raises:
            FeatureError: If it is neither.
        """
        text = self._take(name)
        if text is None:
            return default
        if text.lower() not in (*_YES, *_NO):
            raise FeatureError(
                f"{name}={text} of {self._kind!r} is not understood; write yes or no"
            )
        return text.lower() in _YES

    def word(self, name: str, choices: Sequence[str], default: str) -> str:
        """Take one of some words.

        Raises:
            FeatureError: If it is another.
        """
        text = self._take(name)
        if text is None:
            return default
        if text not in choices:
            raise FeatureError(
                f"{name}={text} of {self._kind!r} is not known; choose {' or '.join(choices)}"
            )
        return text

    def words(
        self, name: str, default: Sequence[str], choices: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Take words joined by ``+``, each once, in the order given.

        Args:
            name: The option.
            default: What it is if left out.
            choices: Words that are known; any, if empty.

        Raises:
            FeatureError: If one is not known, or none is given.
        """
        text = self._take(name)
        if text is None:
            return tuple(default)
        words = tuple(dict.fromkeys(w.strip() for w in text.split("+") if w.strip()))
        unknown = [w for w in words if choices and w not in choices]
        if unknown or not words:
            said = f"{unknown[0]!r} is not known" if unknown else "is empty"
            listed = f"; choose from {', '.join(choices)}" if choices else ""
            raise FeatureError(f"{name} of {self._kind!r}: {said}{listed}")
        return words

    def whole_list(self, name: str, default: Sequence[int], least: int = 1) -> tuple[int, ...]:
        """Take whole numbers such as ``1-5`` or ``1+3+5``, sorted, each once.

        Raises:
            FeatureError: If it is not such a list.
        """
        text = self._take(name)
        if text is None:
            return tuple(default)
        found: set[int] = set()
        for part in text.split("+"):
            span = _SPAN.match(part.strip())
            low, high = (span[1], span[2]) if span else (part.strip(), part.strip())
            if not low.isdecimal() or not least <= int(low) <= int(high) <= 100_000:
                raise FeatureError(
                    f"{name}={text} of {self._kind!r} is not understood; write whole numbers from "
                    f"{least} such as 1-5 or 1+3+5"
                )
            found.update(range(int(low), int(high) + 1))
        return tuple(sorted(found))

    def text(self, name: str, default: str = "") -> str:
        """Take any text."""
        value = self._take(name)
        return default if value is None else value

    def done(self) -> None:
        """Refuse what is left over.

        Raises:
            FeatureError: If an option was given that the feature does not have.
        """
        if self._left:
            known = f"its options are {', '.join(self._known)}" if self._known else "it has none"
            raise FeatureError(f"{self._kind!r} has no option {next(iter(self._left))!r}; {known}")

    def _take(self, name: str) -> str | None:
        self._known.append(name)
        return self._left.pop(name, None)


def canonical(kind: str, **options: object) -> str:
    """Write a feature's text: its kind, then its options in the order given.

    Args:
        kind: The kind.
        **options: Values; truths become ``yes`` or ``no``, sequences are joined by ``+``.
    """
    parts = [f"{name}={_written(value)}" for name, value in options.items()]
    return f"{kind}:{','.join(parts)}" if parts else kind


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple | list):
        return "+".join(_written(part) for part in value)
    return str(value)
