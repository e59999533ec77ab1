"""A release in other forms: as an OCI image layout, pushed to a folder or an S3 prefix and placed from there on any root;
and as Lambda layers (`lambda_layer`).

`layers` cuts a release's files into layers and says where each file lies in them; `documents` are the JSON documents of
the layout; `blobs` is what a place offers, `folder` and `s3` are places; `push`, `pull` and `verify` are the verbs. The
format is told in docs/reference/bundle.md.
"""
