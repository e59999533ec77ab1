"""What a check costs, from AWS's public prices in US East (N. Virginia), looked up 2026-11-26; other regions cost up to a third more."""

from dataclasses import dataclass

_PAGES = "https://aws.amazon.com/"


@dataclass(frozen=True)
class Price:
    """US dollars for one ``unit`` of something, and the page that says so; ``amount`` is what a check uses of it."""

    what: str
    dollars: float
    unit: str
    amount: float
    source: str

    @property
    def cost(self) -> float:
        """US dollars of one check."""
        return self.dollars * self.amount


# The instance's price was not found in what was looked up: 0.21 is above what the page has listed so far (0.2016).
# Hours are billed as begun for a NAT gateway, by the second for the rest. A check with TensorFlow takes about an hour:
# 25 minutes of work, then up to 40 in which Lambda gives back the network interfaces of its functions.
PRICES = (
    Price("NAT gateway", 0.045, "hour", 1, f"{_PAGES}vpc/pricing/"),
    Price("data through it", 0.045, "GB", 1, f"{_PAGES}vpc/pricing/"),
    Price("public IPv4 address, two", 0.005, "hour", 2, f"{_PAGES}vpc/pricing/"),
    Price("EC2 m7i.xlarge, at most", 0.21, "hour", 0.5, f"{_PAGES}ec2/pricing/on-demand/"),
    Price("EBS gp3, 40 GB for half an hour", 0.08, "GB-month", 40 * 0.5 / 730, f"{_PAGES}ebs/pricing/"),
    Price("EFS storage, 4 GB for an hour", 0.30, "GB-month", 4 / 730, f"{_PAGES}efs/pricing/"),
    Price("EFS elastic throughput, written", 0.06, "GB", 3, f"{_PAGES}efs/pricing/"),
    Price("EFS elastic throughput, read", 0.03, "GB", 8, f"{_PAGES}efs/pricing/"),
    Price("Lambda, 3,008 MB for ten minutes", 0.0000166667, "GB-second", 600 * 2.94, f"{_PAGES}lambda/pricing/"),
)
HOURS = 3
"""After so many hours a check stops, and removes everything."""
LIMIT = 2.0
"""The most that a check costs, in US dollars: the estimate, and all of what is billed by the hour for four hours more."""


def estimate() -> float:
    """What a check costs, in US dollars."""
    return sum(price.cost for price in PRICES)


def hourly() -> float:
    """What everything costs that is there for as long as the check is, in US dollars an hour."""
    return sum(price.dollars * max(1.0, price.amount) for price in PRICES if price.unit == "hour")


def table() -> str:
    """The prices as lines of text."""
    lines = [f"  {p.what:38} {p.dollars:>12.10g} $/{p.unit:10} {p.cost:6.3f} $" for p in PRICES]
    return "\n".join([*lines, f"  {'together':64} {estimate():6.2f} $"])
