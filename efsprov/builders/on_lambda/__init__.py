"""Builds in a Lambda function of one's own."""
