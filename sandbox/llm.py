"""A provider of language models in a box: it says what it is told to say, in OpenAI's protocol or Anthropic's.

Sources: OpenAI API reference, "Create chat completion"; Anthropic API reference, "Create a Message".
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from sandbox.app import Json


@dataclass(frozen=True)
class Reply:
    """What the model answers: its arguments for the tool that takes the answer, unless something else is given."""

    arguments: Any = field(default_factory=lambda: {"remarks": []})
    tool: str = ""
    """A tool to call instead of the one that it was given."""
    text: str | None = None
    """Words instead of a call of a tool."""
    tokens: tuple[Any, Any] = (1000, 100)
    """Read and written, as the provider counts them: numbers, if it is in order."""
    finish: str = ""
    """Why it ended, in OpenAI's words: `length`, `content_filter`."""
    status: int = 200
    body: bytes | None = None
    """Bytes to send instead of any answer."""
    cut: bool = False
    """Half of the answer, and then the end of the connection."""
    padding: int = 0
    """Bytes of white space before the answer."""
    hang: bool = False
    """No answer, until the client goes away."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Json

    @property
    def text(self) -> str:
        """What the model was given to read, instructions left out."""
        return "\n".join(_words(message["content"]) for message in self.body["messages"] if message["role"] == "user")

    @property
    def instructions(self) -> str:
        system = [message["content"] for message in self.body["messages"] if message["role"] in ("system", "developer")]
        return "\n".join(_words(content) for content in [*system, self.body.get("system", "")])

    @property
    def tools(self) -> list[str]:
        """The names of the tools that it may call."""
        return [tool.get("name") or tool["function"]["name"] for tool in self.body.get("tools", [])]


class ModelServer:
    """Listens on a port of 127.0.0.1 within a `with` block. `script` makes the reply to each call."""

    def __init__(self, script: Callable[[Call], Reply] = lambda call: Reply()) -> None:
        self.script = script
        self.calls: list[Call] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="model", daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def always(self, *replies: Reply) -> None:
        """Give these replies, one after the other, and the last of them for ever."""
        left = list(replies)
        self.script = lambda call: left.pop(0) if len(left) > 1 else left[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error, and the tests see the others by what is missing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        call = Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.owner.calls.append(call)
        reply = self.server.owner.script(call)
        self.close_connection = True
        if reply.hang:
            while self.connection.recv(65_536):
                pass
            return
        content = b" " * reply.padding + self._content(call, reply)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what came in is in `ModelServer.calls`."""

    def _content(self, call: Call, reply: Reply) -> bytes:
        if reply.body is not None:
            return reply.body
        if reply.status != 200:
            return json.dumps({"error": {"message": "The server says no.", "type": "error"}}).encode()
        tool = reply.tool or (call.tools[0] if call.tools else "")
        answer = _anthropic(reply, tool) if call.path.endswith("/messages") else _openai(reply, tool)
        return json.dumps(answer | {"model": call.body["model"]}).encode()


def _openai(reply: Reply, tool: str) -> Json:
    message: Json = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.text is None:
        arguments = reply.arguments if isinstance(reply.arguments, str) else json.dumps(reply.arguments)
        function = {"name": tool, "arguments": arguments}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    read, written = reply.tokens
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
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": 0},
    }


def _anthropic(reply: Reply, tool: str) -> Json:
    said: Json = {"type": "text", "text": reply.text}
    if reply.text is None:
        said = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": reply.arguments}
    read, written = reply.tokens
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [said],
        "stop_reason": "end_turn" if reply.text is not None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": read, "output_tokens": written},
    }


def _words(content: Any) -> str:
    """The text of a message, which is a text or a list of parts."""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
