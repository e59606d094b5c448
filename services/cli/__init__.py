"""The `tardigrade` command, and the local stack that it, the demonstrations and the tests start."""
