"""Settings of the language model: errors are reported at start, and without a model nothing is imported."""

from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from kodiai import checks
from reviews.engines.llm.prices import PRICES, Price, configured_prices, price_of
from tests.support.processes import fresh_python
from tests.support.runs import process_settings


def problems() -> list[tuple[str | None, str]]:
    """What the checks say of the language model."""
    found = [
        message for message in run_checks() if str(message.id) in {f"kodiai.E00{number}" for number in range(5, 9)}
    ]
    return [(message.id, f"{message.msg} {message.hint}") for message in found]


def test_a_missing_extra_is_reported_with_what_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KODIAI_LLM_MODEL = "openai:gpt-5-mini"
    monkeypatch.setattr(checks, "find_spec", lambda name: None)

    ((code, text),) = problems()
    assert code == "kodiai.E006"
    assert "requirements/llm.txt" in text


@pytest.mark.parametrize("budget", ["KODIAI_LLM_MAX_COST_PER_DAY", "KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY"])
def test_a_budget_in_dollars_needs_a_price(settings: Settings, budget: str) -> None:
    settings.KODIAI_LLM_MODEL = "openai:qwen3-coder"
    assert problems() == []
    setattr(settings, budget, 5.0)

    ((code, text),) = problems()
    assert code == "kodiai.E007"
    assert "KODIAI_LLM_PRICES=openai:qwen3-coder=INPUT/OUTPUT" in text
    settings.KODIAI_LLM_PRICES = ["openai:qwen3-coder=0/0"]
    assert problems() == []


@pytest.mark.parametrize("name", ["gpt-5", ":gpt-5", "openai:"])
def test_a_model_without_a_provider_is_reported(settings: Settings, name: str) -> None:
    settings.KODIAI_LLM_MODEL = name

    assert [code for code, _ in problems()] == ["kodiai.E005"]


@pytest.mark.parametrize(
    "entry", ["", "x", "a:b", "a:b=1", "a:b=1/", "a:b=one/two", "a:b=-1/2", "a:b=nan/1", "a:b=1/inf", "b=1/2"]
)
def test_an_invalid_price_is_reported(settings: Settings, entry: str) -> None:
    settings.KODIAI_LLM_MODEL = "openai:gpt-5-mini"
    settings.KODIAI_LLM_PRICES = [entry]

    assert [code for code, _ in problems()] == ["kodiai.E008"]


def test_configured_prices_come_before_the_known_ones(settings: Settings) -> None:
    settings.KODIAI_LLM_PRICES = ["openai:gpt-5=1/2", " ollama:a:b=c:7b=0/0.5"]

    assert configured_prices() == {"openai:gpt-5": (1.0, 2.0), "ollama:a:b=c:7b": (0.0, 0.5)}
    assert price_of("openai:gpt-5") == price_of("openai-responses:gpt-5") == Price(1.0, 2.0)
    assert price_of("openai:gpt-4.1") == Price(2.0, 8.0)
    assert price_of("openai:gpt-4.1-nobody") is None
    assert Price(2.0, 8.0).of(1_000_000, 500_000) == 6.0


def test_the_price_table_agrees_with_the_extras_data() -> None:
    from genai_prices import Usage, calc_price

    def dollars(model: str, usage: Usage) -> float:
        provider, _, name = model.partition(":")
        return float(calc_price(usage, model_ref=name, provider_id=provider).total_price) * 100

    said = {
        model: (dollars(model, Usage(input_tokens=10_000)), dollars(model, Usage(output_tokens=10_000)))
        for model in PRICES
    }
    assert {model: pytest.approx(price) for model, price in PRICES.items()} == said


IMPORTS = """
import sys, django
django.setup()
import kodiai.wsgi
assert not {"redis", "rq", "django_rq"} & set(sys.modules), "the web server loads a queue that is not used"
from django.core.management import call_command
import reviews.worker, reviews.runs.runner, reviews.views.webhook
call_command("check")
heavy = {"pydantic_ai", "openai", "anthropic", "httpx2", "genai_prices", "tiktoken"}
print(sorted(heavy & set(sys.modules)))
from django.conf import settings
print(settings.KODIAI_LLM_API_KEY)
"""


@pytest.mark.django_db
@pytest.mark.slow
def test_neither_the_extra_nor_redis_is_imported_at_start(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-the-key-in-the-file\n")

    model = {"KODIAI_LLM_MODEL": "openai:gpt-5-mini", "KODIAI_LLM_API_KEY_FILE": str(key)}
    done = fresh_python("-c", IMPORTS, **process_settings(KODIAI_TASKS_URL="", **model))

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "sk-the-key-in-the-file"]


# The queue


KEY = "x" * 50
LOADED = """
import sys, django, kodiai.wsgi
from django.contrib import admin
print(sorted({"redis", "rq", "django_rq"} & sys.modules.keys()))
print([model for model in admin.site._registry if "rq" in model.__module__])
"""


@pytest.mark.slow
def test_the_redis_queue_adds_no_page_to_the_admin() -> None:
    done = fresh_python("-c", LOADED, KODIAI_SECRET_KEY=KEY, KODIAI_TASKS_URL="redis://127.0.0.1:1/0")

    assert done.stdout == "['django_rq', 'redis', 'rq']\n[]\n"
