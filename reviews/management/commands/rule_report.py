import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from reviews.publishing.rule_statistics import FLOOR, MIN_REPORTED, Interval, statistics_of_rules


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = (
        "Print what became of the findings of each rule: fixed, resolved by a person, ignored, disliked; with "
        "intervals of 95 %. Rules whose findings are hardly ever fixed are proposed for severity info, in "
        "severities.rules of .kodiai.yml; never those about security. Nothing is changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=90, help="findings reported in the last days; default: 90")
        parser.add_argument("--repo", default="", metavar="OWNER/NAME", help="only this repository; default: all")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, days: int, repo: str, **options: Any) -> None:
        now = timezone.now()
        rules = statistics_of_rules(now - timedelta(days=days), now, repo)
        if options["json"]:
            document = [
                asdict(rule)
                | {
                    "fixed_share": asdict(rule.fixed_share),
                    "unwanted_share": asdict(rule.unwanted_share),
                    "proposed_for_info": rule.proposed_for_info,
                }
                for rule in rules
            ]
            self.stdout.write(json.dumps(document, indent=2))
            return
        if not rules:
            self.stdout.write("No findings were reported in that time.")
            return
        columns = ("reported", "fixed", "resolved", "ignored", "disliked")
        self.stdout.write(f"{'rule':32}" + "".join(f"{name:>10}" for name in columns) + "  fixed, of 100")
        for rule in rules:
            name = f"{rule.engine}/{rule.rule}"[:32]
            counts = "".join(f"{getattr(rule, column):>10}" for column in columns)
            self.stdout.write(f"{name:32}{counts}  {_percent(rule.fixed_share)}")
        for rule in rules:
            if rule.proposed_for_info:
                self.stdout.write(
                    f"Proposal: {rule.rule} as info. At most {rule.fixed_share.high:.0%} of its findings are fixed "
                    "(severities.rules of .kodiai.yml)."
                )
        self.stdout.write(f"A rule is judged from {MIN_REPORTED} findings on, and proposed below {FLOOR:.0%} fixed.")


def _percent(interval: Interval) -> str:
    return f"{interval.share * 100:.0f} ({interval.low * 100:.0f} to {interval.high * 100:.0f})"
