"""What agents are tested with: a model that answers from a script, on Trio's clock, without key or network.

```python
model = ScriptedModel([Call("add", {"a": 2, "b": 2}), "It is 4."])
```
"""

from __future__ import annotations

from anima.llm._scripted import Answer, Call, End, Fail, Say, ScriptedModel, Step, Think, Wait, When

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
]
