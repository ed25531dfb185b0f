"""One module per `dcfm` command, each with `configure(parser)` and `run(args) -> exit status`."""
