"""What efsprov hands over as files: layers, packages, policies, infrastructure code; bytes and text from data, no AWS calls."""
