"""Answers computed from the question: arithmetic when there is some, else facts about the text."""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

# The bound keeps a question of nothing but brackets from being searched in quadratic time.
_ARITHMETIC = re.compile(r"[-+(]{0,20}\d[\d\s.+*/()-]*")
_LONGEST_EXPRESSION = 200
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the agent can use: its name, what it is given, and how it works on that."""

    name: str
    given: str
    work: Callable[[str], str]


def choose_tool(question: str) -> Tool:
    """The calculator for a question that holds an expression, else the text reader."""
    found = _ARITHMETIC.search(question)
    if found and re.search(r"\d\s*[-+*/]", found.group()):
        return Tool("calculator", found.group().rstrip(" ."), calculate)
    return Tool("text-reader", question, describe)


def calculate(expression: str) -> str:
    """The value of + - * / // over numbers and parentheses, or why there is none."""
    if len(expression) > _LONGEST_EXPRESSION:
        return "that expression is too long for me"
    try:
        value = _value(ast.parse(expression, mode="eval").body)
    except ZeroDivisionError:
        return "nothing can be divided by zero"
    except (SyntaxError, ValueError, OverflowError):
        return f"I cannot calculate {expression!r}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe(text: str) -> str:
    """How many words a text has, and the text backwards."""
    words = len(text.split())
    return f"{words} {'word' if words == 1 else 'words'}; backwards: {text[::-1]}"


def _value(node: ast.expr) -> float:
    # Only what is listed here is ever evaluated: no names, no calls, no powers.
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
        case _:
            raise ValueError("not plain arithmetic")
