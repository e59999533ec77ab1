"""What runs on the builder first: wheels become one checked tree in a local folder."""
