"""The store: releases, their journal and `current`, on a file system that may lose replies and cache names."""
