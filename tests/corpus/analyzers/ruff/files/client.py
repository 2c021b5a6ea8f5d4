"""Talks to the billing service."""

import logging
import time

import httpx

logger = logging.getLogger(__name__)


class BillingError(Exception):
    pass


class Client:
    def __init__(self, base_url: str, timeout: float = 5.0):
        self._http = httpx.Client(base_url=base_url, timeout=timeout)

    def invoice(self, number: str) -> dict:
        for attempt in range(3):
            try:
                response = self._http.get(f"/invoices/{number}")
                response.raise_for_status()
                return response.json()
            except httpx.HTTPStatusError as error:
                if error.response.status_code < 500:
                    raise BillingError(f"invoice {number}: {error.response.status_code}") from error
                logger.warning("attempt %d failed", attempt)
                time.sleep(2**attempt)
            except:
                logger.exception("unexpected")
        raise BillingError(f"invoice {number}: given up")

    def close(self) -> None:
        try:
            self._http.close()
        finally:
            return None

    def pay(self, number: str, cents: int) -> None:
        try:
            self._http.post(f"/invoices/{number}/payments", json={"cents": cents}).raise_for_status()
        except httpx.HTTPError as error:
            detail = str(error)
            raise BillingError(f"payment of {number} failed")
