"""Tools for agents: typed functions that a model may call. This floor is still empty; it needs no other."""
