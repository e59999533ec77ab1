"""Burst credits of a file system in bursting mode, from CloudWatch."""

import datetime as dt

from efsprov.aws.session import Aws

_HOUR = dt.timedelta(hours=1)


def read_burst_credits(aws: Aws, file_system: str, *, now: dt.datetime) -> float | None:
    """Return the least credits of the last hour in bytes that may still be read at full speed; None where none are told.

    https://docs.aws.amazon.com/efs/latest/ug/efs-metrics.html, BurstCreditBalance
    """
    cloudwatch = aws.client("cloudwatch")
    found = aws.call(
        lambda: cloudwatch.get_metric_statistics(
            Namespace="AWS/EFS",
            MetricName="BurstCreditBalance",
            Dimensions=[{"Name": "FileSystemId", "Value": file_system}],
            StartTime=now - _HOUR,
            EndTime=now,
            Period=300,
            Statistics=["Minimum"],
        )
    )["Datapoints"]
    return min((float(point["Minimum"]) for point in found), default=None)
