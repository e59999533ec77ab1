"""What the double refuses, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """A request that AWS would not take: the rule that it breaks, where, and the document that says so."""

    action: str  # "ec2:AuthorizeSecurityGroupIngress"
    rule: str  # the kind: "pattern", "length", "quota", ...
    where: str  # the parameter: "IpPermissions[0].IpRanges[0].Description"
    message: str
    code: str  # AWS's own
    source: str
    status: int = 400

    @property
    def answer(self) -> str:
        """The message that the caller gets."""
        return f"1 validation error detected: Value at '{self.where}' failed to satisfy constraint: {self.message}"

    def __str__(self) -> str:
        return f"{self.action}: {self.where}: {self.message} [{self.rule}; {self.source}]"
