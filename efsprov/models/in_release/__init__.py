"""What runs inside a release, by the release's own interpreter and packages; nothing of efsprov is there."""
