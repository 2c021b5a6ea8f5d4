"""Asking a language model: the one file that imports pydantic-ai, and only where a model is configured."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from django.conf import settings
from pydantic_ai import Agent, exceptions
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage, UsageLimits

from reviews.engines.llm import MAX_OUTPUT_TOKENS
from reviews.engines.llm.findings import NoAnswer, Remarks
from reviews.engines.llm.prompt import INSTRUCTIONS

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Bytes. An answer of as many tokens as a model may write is a hundredth of that."""


def ask(document: str, usage: RunUsage, seconds: float) -> Remarks:
    """Ask the configured model once, within `seconds`; what it used is added to `usage`, in any case.

    Raises `NoAnswer`.
    """
    try:
        return asyncio.run(_ask(document, usage, seconds))
    except Exception as error:
        # pydantic-ai, its clients and a configuration that is wrong raise what they like: a review does not fail of it.
        logger.warning("the language model gave no answer", extra={"error": f"{type(error).__name__}: {error}"})
        raise NoAnswer(_reason(error), again=_may_help(error)) from error


async def _ask(document: str, usage: RunUsage, seconds: float) -> Remarks:
    async with asyncio.timeout(seconds), _configured(seconds) as model:
        agent = Agent(model, output_type=Remarks, instructions=INSTRUCTIONS, retries=0)
        answer = await agent.run(
            document,
            usage=usage,
            # One request: Kodiai itself decides whether a second is within its budgets.
            usage_limits=UsageLimits(request_limit=usage.requests + 1),
            model_settings=_settings(seconds),
        )
        return answer.output


@asynccontextmanager
async def _configured(seconds: float) -> AsyncIterator[Model]:
    """The model that the settings name, on a connection that lives as long as this block."""
    name = settings.KODIAI_LLM_MODEL
    if name.startswith("openai:"):
        # Its older protocol: servers that stand in for OpenAI speak no other.
        name = f"openai-chat:{name.removeprefix('openai:')}"
    async with httpx2.AsyncClient(
        # An answer that is not packed cannot unpack without end. Redirects are not followed: they would take the key.
        timeout=seconds,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_bound]},
    ) as client:
        try:
            model = infer_model(name, provider_factory=lambda provider: _provider(provider, client))
        except (ValueError, TypeError, AttributeError, AssertionError) as error:
            # What providers raise for names that they do not know and arguments that they do not take.
            raise exceptions.UserError(f"KODIAI_LLM_MODEL: {error}") from error
        yield model


def _settings(seconds: float) -> ModelSettings:
    if settings.KODIAI_LLM_MODEL.startswith("openai") and not settings.KODIAI_LLM_BASE_URL:
        # OpenAI is asked to keep nothing. Some of the servers that stand in for it refuse what they do not know.
        from pydantic_ai.models.openai import OpenAIChatModelSettings

        return OpenAIChatModelSettings(max_tokens=MAX_OUTPUT_TOKENS, timeout=seconds, openai_store=False)
    return ModelSettings(max_tokens=MAX_OUTPUT_TOKENS, timeout=seconds)


def _provider(name: str, client: httpx2.AsyncClient) -> Provider[Any]:
    """A provider with the key and address that are configured; what is not, it takes from variables of its own."""
    made_with: dict[str, Any] = {"http_client": client}
    if settings.KODIAI_LLM_API_KEY:
        made_with["api_key"] = settings.KODIAI_LLM_API_KEY
    if settings.KODIAI_LLM_BASE_URL:
        made_with["azure_endpoint" if name.startswith("azure") else "base_url"] = settings.KODIAI_LLM_BASE_URL
    provider: Provider[Any] = infer_provider_class(name)(**made_with)
    # The clients would try again by themselves, past the budgets.
    provider.client.max_retries = 0
    return provider


async def _bound(response: httpx2.Response) -> None:
    """Let an answer end at `MAX_ANSWER_BYTES`."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("an answer that is packed, which was not asked for", request=response.request)
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - for the type checker
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """A stream of at most `MAX_ANSWER_BYTES` bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise httpx2.ReadError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


_UNUSABLE = (exceptions.UnexpectedModelBehavior, exceptions.UsageLimitExceeded)
_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError, exceptions.ModelTimeoutError), "it gave no answer in time"),
    (exceptions.ModelRateLimitError, "its provider's rate limit was met"),
    (exceptions.ModelQuotaExceededError, "the account at its provider is used up"),
    (exceptions.ModelAuthenticationError, "its provider did not take the key"),
    (exceptions.ModelContextWindowExceededError, "the changes are too much for it"),
    (exceptions.ContentFilterError, "it refused to answer"),
    (exceptions.OutputTokenLimitExceeded, f"its answer was longer than {MAX_OUTPUT_TOKENS} tokens"),
    (_UNUSABLE, "its answer could not be used"),
    ((exceptions.UserError, ImportError), "it is not set up as it should be; the log says more"),
)


def _reason(error: BaseException) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, exceptions.ModelHTTPError):
        return f"its provider answered {error.status_code}"
    return "its provider could not be reached, or its answer could not be read"


def _may_help(error: BaseException) -> bool:
    never = (exceptions.ContentFilterError, exceptions.OutputTokenLimitExceeded)
    return isinstance(error, _UNUSABLE) and not isinstance(error, never)
