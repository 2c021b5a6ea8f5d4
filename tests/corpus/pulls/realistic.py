"""Pull requests as they come on a weekday: several files, several languages, faults of several severities."""

from sandbox import Executable, PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request


@pull_request
def payment_service(github: Sandbox) -> PullRequest:
    """Payments: a name that is nowhere, a default that is shared, identity for equality, an exception swallowed."""
    repo = github.create_repository(
        files={
            "payments/models.py": code("""
                from dataclasses import dataclass
                from decimal import Decimal


                @dataclass
                class Payment:
                    reference: str
                    amount: Decimal
                    currency: str
            """),
            "payments/gateway.py": code("""
                import httpx


                class Gateway:
                    def __init__(self, url, token):
                        self.client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})

                    def charge(self, payment):
                        answer = self.client.post("/charges", json={"reference": payment.reference})
                        answer.raise_for_status()
                        return answer.json()["id"]
            """),
        }
    )
    return repo.open_pull_request(
        "Retry charges and remember refunds",
        "Charges are retried on server errors. Refunds are kept with their payment.",
        author_association="MEMBER",
        changes={
            "payments/models.py": code("""
                from dataclasses import dataclass, field
                from decimal import Decimal


                @dataclass
                class Payment:
                    reference: str
                    amount: Decimal
                    currency: str
                    refunds: list = field(default_factory=list)

                    def refund(self, amount, notes=[]):
                        if self.currency is "EUR":
                            amount = amount.quantize(Decimal("0.01"))
                        notes.append(f"refunded")
                        self.refunds.append((amount, notes))
            """),
            "payments/gateway.py": code("""
                import logging
                import time

                import httpx


                class Gateway:
                    def __init__(self, url, token):
                        self.client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})

                    def charge(self, payment, times=3):
                        for attempt in range(times):
                            try:
                                answer = self.client.post("/charges", json={"reference": payment.reference})
                                answer.raise_for_status()
                                return answer.json()["id"]
                            except httpx.HTTPStatusError as error:
                                if answer.status_code < 500:
                                    raise GatewayError(payment.reference)
                            except:
                                pass
                            time.sleep(2**attempt)
                        raise GatewayError(payment.reference)

                    def refund(self, payment, amount):
                        assert (amount > 0, "nothing to refund")
                        answer = self.client.post("/refunds", json={"amount": str(amount)})
                        return answer.json()["id"]
            """),
            "tests/test_gateway.py": code("""
                from decimal import Decimal

                import pytest

                from payments.models import Payment


                def test_a_refund_is_kept():
                    payment = Payment("r1", Decimal(10), "EUR")
                    payment.refund(Decimal(3))
                    assert payment.refunds == [(Decimal("3.00"), ["refunded"])]
            """),
        },
    )


@pull_request
def nightly_export(github: Sandbox) -> PullRequest:
    """A nightly job: Python, the script that starts it, and the image that it runs in."""
    return github.create_repository().open_pull_request(
        "Export orders every night",
        changes={
            "export/orders.py": code("""
                import csv
                import sys
                from datetime import datetime, timedelta


                def rows(connection, since):
                    cursor = connection.cursor()
                    cursor.execute("SELECT number, total FROM orders WHERE created > %s", (since,))
                    for number, total in cursor:
                        yield {"number": number, "total": total}


                def write(connection, path):
                    since = datetime.now() - timedelta(days=1)
                    handlers = []
                    with open(path, "w") as file:
                        writer = csv.DictWriter(file, ["number", "total"])
                        for row in rows(connection, since):
                            handlers.append(lambda: print(row["number"]))
                            writer.writerow(row)
                    print("%d orders in %s" % (len(handlers),))
                    return handlers
            """),
            "export/run.sh": Executable(
                code("""
                    #!/bin/bash
                    OUT=/data/$(date +%F).csv
                    cd /srv/export
                    python -m export.orders $OUT
                    if [ $? = 0 ]; then
                      gzip $OUT
                    fi
                    find /data -name '*.csv.gz' -mtime +30 | xargs rm
                """)
            ),
            "export/Dockerfile": code("""
                FROM python:latest
                RUN apt-get update && apt-get install postgresql-client
                COPY . /srv/export
                ENTRYPOINT /srv/export/run.sh
            """),
        },
    )


@pull_request
def shop_front_end(github: Sandbox) -> PullRequest:
    """A page in TypeScript and React, its styles and its text."""
    return github.create_repository().open_pull_request(
        "A page for the cart",
        changes={
            "web/src/cart.ts": code("""
                export interface Line {
                  sku: string;
                  price: number;
                  amount: number;
                }

                export class Cart {
                  lines: Line[] = [];

                  add(line: Line) {
                    const known = this.lines.find((other) => other.sku === line.sku);
                    if ((known.amount = line.amount)) {
                      known.amount += line.amount;
                    } else {
                      this.lines.push(line);
                    }
                  }

                  total(): number {
                    let unused = 0;
                    return this.lines.reduce((sum, line) => sum + line.price * line.amount, 0);
                  }

                  remove(sku: string) {
                    const index = this.lines.findIndex((line) => line.sku === sku);
                    delete this.lines[index];
                  }
                }
            """),
            "web/src/CartPage.tsx": code("""
                import { Cart } from "./cart";

                export function CartPage({ cart }: { cart: Cart }) {
                  return (
                    <section className="cart">
                      <h1>Your cart</h1>
                      {cart.lines.map((line) => (
                        <p>
                          {line.amount} × {line.sku}
                        </p>
                      ))}
                      <strong>{cart.total().toFixed(2)} €</strong>
                    </section>
                  );
                }
            """),
            "web/src/cart.css": ".cart { display: grid; gap: 1rem; }\n",
            "web/README.md": code("""
                # Cart

                The cart is kept in the browser. It is not recieved by the server untill checkout.
            """),
        },
    )


@pull_request
def release_automation(github: Sandbox) -> PullRequest:
    """A workflow that publishes, the script that it calls, and a page about it."""
    return github.create_repository().open_pull_request(
        "Publish when a tag is pushed",
        changes={
            ".github/workflows/release.yml": code("""
                name: Release
                on:
                  push:
                    tags: ["v*"]
                  issue_comment:
                    types: [created]

                permissions: write-all

                jobs:
                  publish:
                    runs-on: ubuntu-latest
                    steps:
                      - uses: actions/checkout@v4
                      - name: Notes
                        run: echo "${{ github.event.comment.body }}" >> notes.md
                      - name: Publish
                        run: ./bin/publish.sh ${{ github.ref_name }}
                        env:
                          TOKEN: ${{ secrets.PYPI_TOKEN }}
            """),
            "bin/publish.sh": Executable(
                code("""
                    #!/usr/bin/env bash
                    version=$1
                    if [[ $version =~ "v[0-9]+" ]]; then
                      echo "Publishing $version"
                    fi
                    pushd dist
                    for wheel in *.whl; do
                      twine upload $wheel || exit 1
                    done
                    popd
                    echo 'Published $version'
                """)
            ),
            "docs/releasing.md": "# Releasing\n\nPush a tag. The wheel is build and published automaticaly.\n",
        },
    )
