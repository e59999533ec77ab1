"""The only place that talks to AWS: thin typed functions over boto3, one module a kind of resource."""
