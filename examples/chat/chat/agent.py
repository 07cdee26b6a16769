"""The agent: one question in, a stream of events out."""

import asyncio
from collections.abc import AsyncIterator

from chat.answers import choose_tool

# Long enough that a person sees the answer grow, short enough that a test does not wait.
PACE_SECONDS = 0.01

AGENTS = [
    {
        "name": "answerer",
        "description": "answers arithmetic, and describes any other text",
        "tools": ["calculator", "text-reader"],
    }
]


async def answer(question: str, turn: int) -> AsyncIterator[dict[str, object]]:
    """Work a question out, telling each step; the last event carries the answer."""
    tool = choose_tool(question)
    yield {"type": "agent_started", "turn": turn, "agent": AGENTS[0]["name"]}
    await asyncio.sleep(PACE_SECONDS)
    yield {"type": "agent_thinking", "turn": turn, "thought": f"the {tool.name} can do this"}
    await asyncio.sleep(PACE_SECONDS)
    yield {"type": "tool_executing", "turn": turn, "tool": tool.name, "input": tool.given}
    result = tool.work(tool.given)
    await asyncio.sleep(PACE_SECONDS)
    yield {"type": "tool_completed", "turn": turn, "tool": tool.name, "output": result}
    yield {"type": "agent_completed", "turn": turn, "answer": result}
