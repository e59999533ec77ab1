"""One file a verb, named as the verb."""
