"""The verbs of `efsprov model`."""
