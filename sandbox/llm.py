"""A simulated provider of language models: sends scripted replies in OpenAI's or Anthropic's protocol.

Sources: OpenAI API reference, "Create chat completion"; Anthropic API reference, "Create a Message".
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from sandbox.app import Json
from sandbox.local_server import LocalServer


@dataclass(frozen=True)
class Reply:
    """A reply of the model: by default, a call of the first tool of the request with `arguments`."""

    arguments: Any = field(default_factory=lambda: {"remarks": []})
    tool: str = ""
    """Another tool to call."""
    text: str | None = None
    """Text in place of a tool call."""
    tokens: tuple[Any, Any] = (1000, 100)
    """Input and output tokens. A provider sends numbers; tests also send other values."""
    finish: str = ""
    """OpenAI's `finish_reason`, as `length` or `content_filter`."""
    status: int = 200
    body: bytes | None = None
    """Raw bytes to send in place of a reply."""
    cut: bool = False
    """Close the connection after half of the reply."""
    padding: int = 0
    """Bytes of white space before the reply."""
    hang: bool = False
    """Send nothing until the client closes the connection."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCall:
    """A request that the provider received."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Json

    @property
    def text(self) -> str:
        """The messages of the user."""
        return "\n".join(_text(message["content"]) for message in self.body["messages"] if message["role"] == "user")

    @property
    def instructions(self) -> str:
        """The messages of the system and the developer."""
        system = [message["content"] for message in self.body["messages"] if message["role"] in ("system", "developer")]
        return "\n".join(_text(content) for content in [*system, self.body.get("system", "")])

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the model may call."""
        return [tool.get("name") or tool["function"]["name"] for tool in self.body.get("tools", [])]


class ModelServer(LocalServer):
    """The provider's HTTP server; use it in a `with` block. `script` makes the reply to each call."""

    def __init__(self, script: Callable[[ModelCall], Reply] = lambda call: Reply()) -> None:
        super().__init__(_Handler)
        self.script = script
        self.calls: list[ModelCall] = []

    def always(self, *replies: Reply) -> None:
        """Send these replies one after the other, then the last one again."""
        left = list(replies)
        self.script = lambda call: left.pop(0) if len(left) > 1 else left[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection; tests see any other error as a missing reply."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        call = ModelCall(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.calls.append(call)
        reply = self.server.script(call)
        self.close_connection = True
        if reply.hang:
            while self.connection.recv(65_536):
                pass
            return
        content = b" " * reply.padding + _content(call, reply)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests are recorded in `ModelServer.calls`."""


def _content(call: ModelCall, reply: Reply) -> bytes:
    if reply.body is not None:
        return reply.body
    if reply.status != 200:
        return json.dumps({"error": {"message": "The server says no.", "type": "error"}}).encode()
    tool = reply.tool or (call.tools[0] if call.tools else "")
    message = _anthropic(reply, tool) if call.path.endswith("/messages") else _openai(reply, tool)
    return json.dumps(message | {"model": call.body["model"]}).encode()


def _openai(reply: Reply, tool: str) -> Json:
    message: Json = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.text is None:
        arguments = reply.arguments if isinstance(reply.arguments, str) else json.dumps(reply.arguments)
        function = {"name": tool, "arguments": arguments}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    input_tokens, output_tokens = reply.tokens
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": reply.finish or ("stop" if reply.text is not None else "tool_calls"),
            }
        ],
        "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": 0},
    }


def _anthropic(reply: Reply, tool: str) -> Json:
    block: Json = {"type": "text", "text": reply.text}
    if reply.text is None:
        block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": reply.arguments}
    input_tokens, output_tokens = reply.tokens
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [block],
        "stop_reason": "end_turn" if reply.text is not None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }


def _text(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
