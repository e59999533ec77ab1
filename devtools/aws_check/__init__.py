"""The proof on a real account: makes what efsprov's verbs need, runs them, measures, and removes all of it.

`python -m devtools.aws_check --account NUMBER --region REGION`, or `make aws-check`; docs/how-to/check-on-aws.md.
"""
