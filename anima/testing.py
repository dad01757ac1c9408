"""What agents are tested with: models that answer from a script, on Trio's clock, without key or network.

```python
model = ScriptedModel([Call("add", {"a": 2, "b": 2}), "It is 4."])
async with open_system() as system:
    ada = await system.spawn("ada", Agent, spec, scripted_home(model))
```
"""

from __future__ import annotations

import attrs

from anima.agents import Home
from anima.llm import IncidentHook, Model, ModelSpec
from anima.llm._scripted import Answer, Call, End, Fail, Say, ScriptedModel, Step, Think, Wait, When


@attrs.frozen
class _Scripted:
    """Gives out models by the name in a spec, and where there is none of that name always the same one."""

    model: Model
    others: dict[str, Model]

    def get(self, spec: ModelSpec, *, on_incident: IncidentHook | None = None) -> Model:
        return self.others.get(spec.model, self.model)


def scripted_home(model: Model, **others: Model) -> Home:
    """A home whose agents all ask `model`, whatever their spec says; those whose `ModelSpec.model` is the name of one
    of `others` ask that. Models are used as they are: nothing retries, nothing falls back."""
    return Home(_Scripted(model, others))


__all__ = [
    "Answer",
    "Call",
    "End",
    "Fail",
    "Say",
    "ScriptedModel",
    "Step",
    "Think",
    "Wait",
    "When",
    "scripted_home",
]
