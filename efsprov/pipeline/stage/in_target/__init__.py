"""What runs in the interpreter of the target, standard library only: it stands alone."""
