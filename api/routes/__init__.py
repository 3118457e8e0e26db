"""Which paths does the HTTP API answer? One module a subject, each with a `router`."""
