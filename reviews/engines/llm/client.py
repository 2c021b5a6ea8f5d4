"""Requests to a language model: the only module that imports pydantic-ai, imported only if a model is configured."""

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
"""Bytes. An answer of `MAX_OUTPUT_TOKENS` is a hundredth of that."""


def ask(document: str, usage: RunUsage, seconds: float) -> Remarks:
    """Ask the configured model once, within `seconds`; add its usage to `usage`, also on failure. Raises `NoAnswer`."""
    try:
        return asyncio.run(_ask(document, usage, seconds))
    except Exception as error:
        # pydantic-ai, its clients and a wrong configuration raise many kinds of errors; none of them fails a review.
        logger.warning("language model request failed", extra={"error": f"{type(error).__name__}: {error}"})
        raise NoAnswer(_reason(error), retryable=_is_retryable(error)) from error


async def _ask(document: str, usage: RunUsage, seconds: float) -> Remarks:
    async with asyncio.timeout(seconds), _configured(seconds) as model:
        agent = Agent(model, output_type=Remarks, instructions=INSTRUCTIONS, retries=0)
        answer = await agent.run(
            document,
            usage=usage,
            # One request: Kodiai itself decides whether a second one fits into the budgets.
            usage_limits=UsageLimits(request_limit=usage.requests + 1),
            model_settings=_settings(seconds),
        )
        return answer.output


@asynccontextmanager
async def _configured(seconds: float) -> AsyncIterator[Model]:
    """The configured model, on a connection that is closed at the end of the block."""
    name = settings.KODIAI_LLM_MODEL
    if name.startswith("openai:"):
        # The older protocol, because compatible servers support no other.
        name = f"openai-chat:{name.removeprefix('openai:')}"
    async with httpx2.AsyncClient(
        # No compression, so that no answer can be a decompression bomb. No redirects: they would receive the key.
        timeout=seconds,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_bound]},
    ) as client:
        try:
            model = infer_model(name, provider_factory=lambda provider: _provider(provider, client))
        except (ValueError, TypeError, AttributeError, AssertionError) as error:
            # Raised by providers for unknown names and arguments.
            raise exceptions.UserError(f"KODIAI_LLM_MODEL: {error}") from error
        yield model


def _settings(seconds: float) -> ModelSettings:
    if settings.KODIAI_LLM_MODEL.startswith("openai") and not settings.KODIAI_LLM_BASE_URL:
        # Ask OpenAI not to store anything. Some compatible servers reject the unknown field.
        from pydantic_ai.models.openai import OpenAIChatModelSettings

        return OpenAIChatModelSettings(max_tokens=MAX_OUTPUT_TOKENS, timeout=seconds, openai_store=False)
    return ModelSettings(max_tokens=MAX_OUTPUT_TOKENS, timeout=seconds)


def _provider(name: str, client: httpx2.AsyncClient) -> Provider[Any]:
    """A provider with the configured key and URL; the provider's own environment variables are the fallback."""
    arguments: dict[str, Any] = {"http_client": client}
    if settings.KODIAI_LLM_API_KEY:
        arguments["api_key"] = settings.KODIAI_LLM_API_KEY
    if settings.KODIAI_LLM_BASE_URL:
        arguments["azure_endpoint" if name.startswith("azure") else "base_url"] = settings.KODIAI_LLM_BASE_URL
    provider: Provider[Any] = infer_provider_class(name)(**arguments)
    # The clients' own retries would not respect the budgets.
    provider.client.max_retries = 0
    return provider


async def _bound(response: httpx2.Response) -> None:
    """Limit a response to `MAX_ANSWER_BYTES`."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("compressed answer, which was not requested", request=response.request)
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
                raise httpx2.ReadError(f"answer larger than {MAX_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


_UNUSABLE = (exceptions.UnexpectedModelBehavior, exceptions.UsageLimitExceeded)
_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError, exceptions.ModelTimeoutError), "it timed out"),
    (exceptions.ModelRateLimitError, "its provider's rate limit was reached"),
    (exceptions.ModelQuotaExceededError, "its account has no quota left"),
    (exceptions.ModelAuthenticationError, "its provider rejected the key"),
    (exceptions.ModelContextWindowExceededError, "the changes exceed its context window"),
    (exceptions.ContentFilterError, "a content filter blocked the answer"),
    (exceptions.OutputTokenLimitExceeded, f"its answer was longer than {MAX_OUTPUT_TOKENS} tokens"),
    (_UNUSABLE, "its answer was unusable"),
    ((exceptions.UserError, ImportError), "it is misconfigured; see the log"),
)


def _reason(error: BaseException) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, exceptions.ModelHTTPError):
        return f"its provider answered {error.status_code}"
    return "its provider could not be reached, or its answer was invalid"


def _is_retryable(error: BaseException) -> bool:
    never = (exceptions.ContentFilterError, exceptions.OutputTokenLimitExceeded)
    return isinstance(error, _UNUSABLE) and not isinstance(error, never)
