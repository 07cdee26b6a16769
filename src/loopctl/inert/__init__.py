"""Makes untrusted text harmless before it meets a terminal, Markdown, a CI log or XML.

Logs, test names and answers of services are written by others: they may hold escape sequences,
markup, commands for the CI system, 10 MB on one line. All functions are pure and linear, and show
what they disarm (as `\\x1b`) instead of dropping it, because it may be the evidence.
"""

from loopctl.inert.characters import decode, for_json, for_terminal, for_xml, one_line
from loopctl.inert.chat import for_chat, for_slack
from loopctl.inert.ci import for_ci, json_for_ci, workflow_data, workflow_property
from loopctl.inert.markdown import code_block, code_span, for_markdown

__all__ = [
    "code_block",
    "code_span",
    "decode",
    "for_chat",
    "for_ci",
    "for_json",
    "for_markdown",
    "for_slack",
    "for_terminal",
    "for_xml",
    "json_for_ci",
    "one_line",
    "workflow_data",
    "workflow_property",
]
