"""What the stages use: uv, HTTP, the wheel cache, installer settings, scratch folders, progress."""
