"""Which ways of training are there? One file each, registered under its own name; `training.registry` imports them."""
