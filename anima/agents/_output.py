"""Answers that are objects: the class of the output, as a schema for the model and as a check of what it says."""

from __future__ import annotations

from typing import Any

import attrs

from anima.llm import OutputSchema


class BadOutput(ValueError):
    """An answer is not what it has to be; the text says where, in words that the model can mend it by."""


@attrs.frozen
class Output:
    """Answers have to be JSON that makes a `kind`: an attrs class, a dataclass, or any type that msgspec knows."""

    kind: Any

    @property
    def schema(self) -> OutputSchema:
        """What the model is told. Raises `TypeError` for a type that has no schema."""
        import msgspec

        schema = msgspec.json.schema(self.kind)
        definitions = schema.get("$defs", {})
        reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        if reference in definitions:  # providers want an object at the top, not a reference to one
            rest = {name: value for name, value in definitions.items() if name != reference}
            schema = {**definitions[reference], **({"$defs": rest} if rest else {})}
        return OutputSchema(getattr(self.kind, "__name__", "output"), schema)

    def check(self, text: str) -> object:
        """The object in an answer. Raises `BadOutput`."""
        import msgspec

        try:
            return msgspec.json.decode(_json_in(text).encode("utf-8", "surrogatepass"), type=self.kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadOutput(f"it has to be JSON of the schema {self.schema.name}, and nothing else: {error}") from None


def _json_in(text: str) -> str:
    """The JSON of an answer, without the fence that models like to put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text.partition("\n")[2].removesuffix("```")
    return text
